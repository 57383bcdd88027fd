"""Query and document read together by a cross-encoder: better scores, for a few documents a query."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import CrossEncoder
from transformers.utils import logging as transformers_logging

from embedtune import progress
from embedtune.errors import EncoderError
from embedtune.models.fingerprint import model_fingerprint
from embedtune.models.forward import on_device
from embedtune.models.length_batches import batches_by_length
from embedtune.models.sentence_transformer import (
    DTYPES,
    cannot_load_model,
    choose_device,
    choose_precision,
    locate_model,
)
from embedtune.search.fusion import Retriever
from embedtune.search.reranker_options import RerankerOptions
from embedtune.search.run import RankedDocument, Run, rank

__all__ = ["Pair", "Reranker", "RerankerOptions", "RerankingRetriever", "load_reranker", "rerank"]

_TOKENIZED_AT_ONCE = 1024


class Pair(NamedTuple):
    """A query and a document, as texts."""

    query: str
    document: str


class Reranker:
    """A cross-encoder with one output: higher is more relevant, as log-odds where it was trained on yes and no.

    The model given is changed: moved to the device and cast to the precision. `fingerprint` is
    a SHA-256 of its weights, tokenizer and architecture, taken first.
    """

    def __init__(self, model: CrossEncoder, options: RerankerOptions) -> None:
        if model.num_labels != 1:
            raise EncoderError(
                f"the cross-encoder has {model.num_labels} outputs, expected one score of relevance",
                remedy="name a reranker, such as BAAI/bge-reranker-base, not a classifier",
            )
        if options.rerank_max_length is not None:
            model.max_seq_length = options.rerank_max_length
        self.fingerprint = model_fingerprint(model)
        self.device = choose_device(options.device)
        self.precision = choose_precision(options.precision, self.device)
        self.tokens_per_batch = options.tokens_per_batch
        self.model = model.to(device=self.device, dtype=DTYPES[self.precision]).eval()

    @property
    def max_length(self) -> int | None:
        """Returns the longest pair in tokens, special tokens included; what is over it is cut off."""
        limit: int | None = self.model.max_seq_length
        return limit

    def score(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """Returns (len(pairs),) float32 in the order of the (query, document) pairs.

        The score is the model's output before any sigmoid, which would make the best ones equal.
        Raises EncoderError for a score that isn't finite.
        """
        scores = np.empty(len(pairs), dtype=np.float32)
        with progress.task("rerank", total=len(pairs)) as reranking:
            for batch in batches_by_length(self._count_tokens(pairs), self.tokens_per_batch, padded=True):
                scores[batch] = self._forward([pairs[position] for position in batch])
                reranking.advance(len(batch))
        bad = np.flatnonzero(~np.isfinite(scores))
        if bad.size:
            raise EncoderError(
                f"the reranker's score isn't finite for {bad.size} of {len(pairs)} pairs, "
                f"the first being {pairs[bad[0]][0][:80]!r}",
                remedy="try --precision float32; if that fails too the weights are damaged",
            )
        return scores

    def _count_tokens(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.int64]:
        """Returns each pair's length in tokens, cut at the limit; texts are tokenized once."""
        tokenizer = self.model.tokenizer
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        lengths: dict[str, int] = {}
        for start in range(0, len(texts), _TOKENIZED_AT_ONCE):
            part = texts[start : start + _TOKENIZED_AT_ONCE]
            encoded = tokenizer(part, padding=False, truncation=False, return_attention_mask=False, verbose=False)
            lengths |= {text: len(ids) for text, ids in zip(part, encoded["input_ids"], strict=True)}
        counts = np.array([lengths[query] + lengths[document] for query, document in pairs], dtype=np.int64)
        return counts if self.max_length is None else np.minimum(counts, self.max_length)

    @torch.inference_mode()
    def _forward(self, pairs: list[tuple[str, str]]) -> npt.NDArray[np.float32]:
        prompt = self.model.prompts.get(self.model.default_prompt_name or "")
        features = on_device(self.model.preprocess(pairs, prompt=prompt or None), self.device)
        scores: npt.NDArray[np.float32] = self.model(features)["scores"].float().reshape(len(pairs)).cpu().numpy()
        return scores


def load_reranker(name: str | Path, options: RerankerOptions | None = None) -> Reranker:
    """Returns the cross-encoder in a folder or of that name on the Hugging Face Hub.

    Only safetensors are read. Raises EncoderError where it can't be found, reached or loaded, and
    for a model that gives vectors, whose head would be made up.
    """
    options = options or RerankerOptions()
    place, offline = locate_model(str(name))
    transformers_logging.disable_progress_bar()
    try:
        model = CrossEncoder(
            place,
            device="cpu",
            revision=options.rerank_revision,
            trust_remote_code=options.rerank_trust_remote_code,
            local_files_only=offline,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )
    except (OSError, ValueError, ImportError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise cannot_load_model(str(name), place, offline, error) from error
    _refuse_encoder(str(name), place, model)
    return Reranker(model, options)


def _refuse_encoder(name: str, place: str, model: CrossEncoder) -> None:
    """Raises EncoderError for a folder whose model isn't a cross-encoder by its own files."""
    architectures = getattr(model.config, "architectures", None) or [""]
    configuration = Path(place) / "config_sentence_transformers.json"
    kind = "CrossEncoder"
    if configuration.is_file():
        kind = json.loads(configuration.read_text(encoding="utf-8")).get("model_type", "SentenceTransformer")
    if kind != "CrossEncoder" or not architectures[0].endswith(("ForSequenceClassification", "ForCausalLM")):
        found = architectures[0] or "a model without an architecture"
        raise EncoderError(
            f"{name!r} is no cross-encoder: its files say {kind}, {found}",
            where=place,
            remedy="--rerank takes a cross-encoder, such as BAAI/bge-reranker-base or a folder of one",
        )


def rerank(
    run: Run, reranker: Reranker, queries: Mapping[str, str], corpus: Mapping[str, str], *, depth: int = 100
) -> Run:
    """Returns the run with each query's first `depth` documents in the reranker's order; deeper ones are left out."""
    places = [
        (query_id, document.document_id)
        for query_id, documents in run.rankings.items()
        for document in documents[:depth]
    ]
    scores = reranker.score([Pair(queries[query_id], corpus[document_id]) for query_id, document_id in places])
    by_query: dict[str, dict[str, float]] = {query_id: {} for query_id in run.rankings}
    for (query_id, document_id), score in zip(places, scores.tolist(), strict=True):
        by_query[query_id][document_id] = score
    rankings: dict[str, list[RankedDocument]] = {query_id: rank(scored) for query_id, scored in by_query.items()}
    return Run(rankings)


class RerankingRetriever:
    """Lets a cross-encoder order the first `depth` documents that another retriever finds."""

    name = "rerank"

    def __init__(self, first: Retriever, reranker: Reranker, corpus: Mapping[str, str], *, depth: int = 100) -> None:
        self.first = first
        self.reranker = reranker
        self.corpus = corpus
        self.depth = depth

    def retrieve(self, queries: Mapping[str, str], top_k: int) -> Run:
        """Returns the `top_k` best documents of each query in the reranker's order."""
        depth = max(self.depth, top_k)
        found = self.first.retrieve(queries, depth)
        whole = rerank(found, self.reranker, queries, self.corpus, depth=depth)
        return Run({query_id: documents[:top_k] for query_id, documents in whole.rankings.items()})
