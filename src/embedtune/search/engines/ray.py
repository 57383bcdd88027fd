"""On the workers of a Ray cluster, block by block; vectors lie in shards on disk or at a URL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import ray

from embedtune import progress
from embedtune.data.blocks import Block, plan_blocks
from embedtune.data.table_texts import TableTexts
from embedtune.errors import DataError, EncoderError, EvaluationError, OptionsError
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, Vectors
from embedtune.models.stored import document_way
from embedtune.search.merging import merge_found
from embedtune.search.ray_cluster import Workers, connect, on_workers, workers_of
from embedtune.search.ray_workers import BlockEncoder, EncodingJob, raise_told, rows_of_shard, search_shards
from embedtune.search.vector_index import FoundRows, check_queries

if TYPE_CHECKING:
    from embedtune.search.engine import Engine

__all__ = ["RayCorpus", "encode_corpus"]

_JOBS_PER_WORKER = 4
"""So that a slow worker holds up the others by a quarter of its share."""

Rows = npt.NDArray[np.int64]


class _ShardPlace(NamedTuple):
    url: str
    first_row: int
    documents: int


def encode_corpus(encoder: Encoder, corpus: Mapping[str, str], cache: EmbeddingCache, engine: Engine) -> RayCorpus:
    """Returns the corpus in shards; a block whose shard is whole isn't encoded again.

    Blocks that can't be read don't hold up the others; DataError names them at the end. A full
    disk stops at once. Raises EncoderError where workers encode differently from one another.
    """
    job = _job(corpus, cache, engine)
    blocks = plan_blocks(job.corpus, engine.options.block_documents)
    if not blocks:
        raise EvaluationError("there are no documents to search")
    connect()
    workers = workers_of(engine.options, on_gpus=job.encoder_options.device in ("auto", "cuda"))
    made = _encode_blocks(blocks, job, workers, cache, document_way(encoder, cache.precision))
    shards = [_ShardPlace(made[block.number]["url"], block.first_row, block.documents) for block in blocks]
    return RayCorpus(shards, list(corpus), made[0]["dim"], workers._replace(gpus=0))


def _job(corpus: Mapping[str, str], cache: EmbeddingCache, engine: Engine) -> EncodingJob:
    if not isinstance(corpus, TableTexts):
        raise OptionsError(
            "the engine 'ray' reads a folder of tables block by block, and this dataset is one file",
            remedy="write it as a folder first: embedtune import embedtune D --out FOLDER",
        )
    if engine.encoder_name is None:
        raise OptionsError("the engine 'ray' needs the encoder's name, by which its workers load it")
    folder = engine.options.vectors or cache.folder
    if folder is None:
        raise OptionsError("the engine 'ray' needs a place for vectors", remedy="give --vectors or a cache folder")
    name = Path(engine.encoder_name).expanduser()
    device = engine.encoder_options.device.partition(":")[0]  # a worker sees no other GPU than its own
    return EncodingJob(
        corpus,
        str(name.absolute()) if name.is_dir() else engine.encoder_name,
        engine.encoder_options.model_copy(update={"processes": 1, "device": device}),
        str(folder) if "://" in str(folder) else str(Path(folder).absolute()),
        cache.precision,
        engine.options.cores_per_worker,
    )


def _encode_blocks(
    blocks: Sequence[Block], job: EncodingJob, workers: Workers, cache: EmbeddingCache, way_here: Mapping[str, Any]
) -> dict[int, dict[str, Any]]:
    """Returns what was made of each block, by its number; `way_here` is how this process would encode."""
    made: dict[int, dict[str, Any]] = {}
    faults: list[DataError] = []
    states = {"new": 0, "damaged": 0, "found": 0}
    stored_job = ray.put(job)  # Ray Data looks through plain arguments to log them, and would read the whole corpus
    with progress.task("encode documents on Ray", total=sum(block.documents for block in blocks)) as encoding:
        for row in on_workers([block._asdict() for block in blocks], BlockEncoder, workers, {"job": stored_job}):
            encoding.advance(row["documents"])
            try:
                raise_told(row["error"])
            except DataError as fault:
                faults.append(fault)
                continue
            if not made:
                _compare_ways(way_here, json.loads(row["way"]))
            made[row["number"]] = row
            states[row["state"]] += 1
            if row["state"] != "found":
                cache.encoded += row["documents"]
                cache.encoded_of["document"] += row["documents"]
            if row["way"] != next(iter(made.values()))["way"]:
                raise EncoderError(
                    f"two workers encode differently: {row['way']} and {next(iter(made.values()))['way']}",
                    remedy="give --precision and --device, so that every machine computes alike",
                )
    progress.say(
        f"{len(blocks)} blocks in {job.folder}: {states['new']} encoded, {states['found']} were there, "
        f"{states['damaged']} were damaged and encoded again"
    )
    if faults:
        raise DataError(
            "\n".join(fault.found for fault in faults),
            where=faults[0].where,
            remedy=f"{faults[0].remedy}; the other {len(made)} blocks are kept, and a rerun encodes what is missing",
        )
    return made


def _compare_ways(here: Mapping[str, Any], there: Mapping[str, Any]) -> None:
    """Says where queries, which are encoded here, get another treatment than documents."""
    keys = [key for key in {**here, **there} if here.get(key) != there.get(key)]
    if "weights" in keys:
        raise EncoderError(
            "the workers have another model under this name than this machine",
            remedy="give a model folder that all machines share, or a --revision",
        )
    if keys:
        differing = ", ".join(f"{key} {there.get(key)!r}, here {here.get(key)!r}" for key in keys)
        progress.say(f"note: the workers encode documents with {differing}")


class RayCorpus:
    """Vectors in shards, which Ray's workers search and look up; follows EncodedCorpus."""

    def __init__(self, shards: Sequence[_ShardPlace], document_ids: Sequence[str], dim: int, workers: Workers) -> None:
        self.document_ids = document_ids
        self.dim = dim
        self._shards = shards
        self._workers = workers

    @cached_property
    def vectors(self) -> npt.NDArray[Any]:
        """Returns all vectors, (documents, dim), brought here."""
        return self.vectors_of(np.arange(len(self.document_ids)))

    def search_rows(self, query_vectors: Vectors, top_k: int) -> FoundRows:
        """Returns the `top_k` best documents of each row of `query_vectors`, as exact search here would."""
        queries = check_queries(query_vectors, self.dim)
        found = FoundRows(np.empty((len(queries), 0), dtype=np.int64), np.empty((len(queries), 0), dtype=np.float32))
        if not len(queries):
            return found
        arguments = {"queries": ray.put(queries), "top_k": top_k, "cores": self._workers.cores}
        with progress.task("search documents on Ray", total=len(self.document_ids)) as searching:
            for row in on_workers(list(self._spans()), search_shards, self._workers, arguments):
                raise_told(row["error"])
                found = merge_found([found, FoundRows(row["rows"], row["scores"])], self.document_ids, top_k)
                searching.advance(int(row["documents"]))
        return found

    def vectors_of(self, rows: Rows) -> npt.NDArray[Any]:
        """Returns the vectors of rows, (n, dim), as they are stored."""
        return self._looked_up(rows, "vectors", {})

    def lengths_of(self, rows: Rows) -> Vectors:
        """Returns the length of each row's vector, (n,)."""
        return self._looked_up(rows, "lengths", {})

    def pair_scores(self, vectors: Vectors, owners: Rows, rows: Rows) -> Vectors:
        """Returns (n,): the inner product of each `vectors[owners[i]]` with document `rows[i]`, in float32."""
        order = np.argsort(rows, kind="stable")
        arguments = {"vectors": ray.put(vectors), "owners": ray.put(owners[order])}
        return self._looked_up(rows, "scores", arguments)

    def _spans(self) -> Iterator[dict[str, Any]]:
        """Yields neighbouring shards as jobs of like size."""
        jobs = min(len(self._shards), _JOBS_PER_WORKER * self._workers.most)
        bounds = np.linspace(0, len(self._shards), jobs + 1).astype(int).tolist()
        for start, end in pairwise(bounds):
            shards = [(shard.url, shard.first_row) for shard in self._shards[start:end]]
            documents = sum(shard.documents for shard in self._shards[start:end])
            yield {"shards": json.dumps(shards), "documents": documents}

    def _looked_up(self, rows: Rows, what: str, arguments: Mapping[str, Any]) -> npt.NDArray[Any]:
        """Returns what belongs to each row; a shard is read once, for all of its rows. A row of -1 is any row."""
        order = np.argsort(rows, kind="stable")
        ordered = np.maximum(rows[order], 0)
        ends = [shard.first_row + shard.documents for shard in self._shards]
        bounds = [0, *np.searchsorted(ordered, ends).tolist()]
        jobs = [
            {"url": shard.url, "first_row": shard.first_row, "start": start, "end": end}
            for shard, (start, end) in zip(self._shards, pairwise(bounds), strict=True)
            if end > start
        ]
        values = np.empty((len(rows), self.dim) if what == "vectors" else len(rows), dtype=np.float32)
        given = {"what": what, "rows": ray.put(ordered), **arguments}
        for row in on_workers(jobs, rows_of_shard, self._workers, given):
            raise_told(row["error"])
            values[order[row["start"] : row["end"]]] = row["values"]
        return values
