"""What Ray's workers do: encode a block into its shard, search some shards, look up rows of one.

Each takes and returns one row of a Ray dataset. A fault that a message can explain is returned in
the row instead of raised, so that the driver decides whether the other blocks go on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import ray
import torch

import embedtune.errors
from embedtune.data.blocks import Block, read_block
from embedtune.data.table_texts import TableTexts
from embedtune.errors import DataError, EmbedtuneError, StorageError
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, EncoderOptions, load_encoder
from embedtune.models.shard import Shard, ShardError, read_shard, shard_url, write_shard
from embedtune.models.stored import document_way, rounded
from embedtune.search.merging import merge_found
from embedtune.search.vector_index import FoundRows, VectorIndex, paired_products, vector_lengths

__all__ = ["BlockEncoder", "EncodingJob", "raise_told", "rows_of_shard", "search_shards"]

Batch = Mapping[str, Any]
"""Column → array of one element."""


class EncodingJob(NamedTuple):
    """What a worker needs to encode blocks: the corpus, the encoder by name, and where vectors go."""

    corpus: TableTexts
    encoder_name: str
    encoder_options: EncoderOptions
    folder: str
    precision: str
    cores: int


class BlockEncoder:
    """Encodes blocks, one at a time, with a model that it loads for the first and keeps."""

    def __init__(self, job: ray.ObjectRef[EncodingJob]) -> None:
        self._job: EncodingJob = ray.get(job)

    def __call__(self, batch: Batch) -> dict[str, list[Any]]:
        """Returns where the block's shard is, its way of encoding, and whether it was encoded now."""
        block = Block(*(int(batch[field][0]) for field in Block._fields))
        made: dict[str, Any] = {
            "number": block.number,
            "documents": block.documents,
            "url": "",
            "way": "",
            "dim": 0,
            "state": "",
        }
        error = ""
        try:
            made |= self._encoded(block)
        except DataError as fault:  # names the block
            error = _told(fault)
        except EmbedtuneError as fault:
            error = _told(fault, f"{block}: ")
        return _row(made | {"error": error})

    @cached_property
    def _encoder(self) -> Encoder:
        torch.set_num_threads(self._job.cores)
        return load_encoder(self._job.encoder_name, self._job.encoder_options)

    def _encoded(self, block: Block) -> dict[str, Any]:
        texts = read_block(self._job.corpus, block)
        way = document_way(self._encoder, self._job.precision)
        url = shard_url(self._job.folder, way, texts)
        state = _state_of(url)
        if state != "found":
            vectors = EmbeddingCache(None).encode_corpus(self._encoder, texts)
            write_shard(url, texts, rounded(vectors, self._job.precision), way)
        return {"url": url, "way": json.dumps(way, sort_keys=True), "dim": self._encoder.dim, "state": state}


def search_shards(batch: Batch, queries: ray.ObjectRef[Any], top_k: int, cores: int) -> dict[str, list[Any]]:
    """Returns the `top_k` best documents of each query in some shards: exact in each, then merged."""
    torch.set_num_threads(cores)
    vectors = ray.get(queries)
    found = FoundRows(np.empty((len(vectors), 0), dtype=np.int64), np.empty((len(vectors), 0), dtype=np.float32))
    names: dict[int, str] = {}
    try:
        for url, first_row in json.loads(batch["shards"][0]):
            shard = _shard(url)
            part = VectorIndex(shard.vectors, shard.ids).search_rows(vectors, top_k)
            names |= {row + first_row: shard.ids[row] for row in np.unique(part.rows).tolist()}
            found = merge_found([found, FoundRows(part.rows + first_row, part.scores)], names, top_k)
            names = {row: names[row] for row in np.unique(found.rows).tolist()}
        error = ""
    except EmbedtuneError as fault:
        error = _told(fault)
    return _row({"documents": batch["documents"][0], "rows": found.rows, "scores": found.scores, "error": error})


def rows_of_shard(
    batch: Batch,
    what: str,
    rows: ray.ObjectRef[Any],
    owners: ray.ObjectRef[Any] | None = None,
    vectors: ray.ObjectRef[Any] | None = None,
) -> dict[str, list[Any]]:
    """Returns vectors, lengths or scores of rows[start:end], which all lie in one shard.

    A score is the inner product with `vectors[owners[i]]`.
    """
    start, end = int(batch["start"][0]), int(batch["end"][0])
    values: npt.NDArray[Any] = np.empty(0, dtype=np.float32)
    error = ""
    try:
        shard = _shard(batch["url"][0])
        inside = ray.get(rows)[start:end] - int(batch["first_row"][0])
        if what == "scores":
            values = paired_products(ray.get(vectors), ray.get(owners)[start:end], shard.vectors, inside)
        else:
            values = shard.vectors[inside]
            values = vector_lengths(values) if what == "lengths" else values
    except EmbedtuneError as fault:
        error = _told(fault)
    return _row({"start": start, "end": end, "values": values, "error": error})


def raise_told(error: str) -> None:
    """Raises what a worker told of; nothing where it told of nothing."""
    if error:
        told = json.loads(error)
        kind = getattr(embedtune.errors, told["kind"], EmbedtuneError)
        raise kind(told["found"], where=told["where"], remedy=told["remedy"])


def _told(error: EmbedtuneError, where: str = "") -> str:
    told = {"kind": type(error).__name__, "found": where + error.found, "where": error.where, "remedy": error.remedy}
    return json.dumps(told)


def _row(values: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: [value] for name, value in values.items()}


def _state_of(url: str) -> str:
    try:
        read_shard(url)
    except FileNotFoundError:
        return "new"
    except ShardError:
        return "damaged"
    return "found"


def _shard(url: str) -> Shard:
    try:
        return read_shard(url)
    except (ShardError, FileNotFoundError) as error:
        raise StorageError(
            f"the shard of vectors can't be read: {error}",
            where=url,
            remedy="run again: what is damaged is encoded again",
        ) from error
