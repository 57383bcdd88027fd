"""Makes queries for a dataset's documents and puts them into it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from embedtune import progress
from embedtune.data.dataset import RetrievalDataset
from embedtune.language.estimate import Estimate
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.options import Options
from embedtune.synthesize.adding import Added, add_queries
from embedtune.synthesize.backends import BACKENDS, DEFAULT_BACKEND
from embedtune.synthesize.cutting import Cut, cut_documents
from embedtune.synthesize.examples import Embed
from embedtune.synthesize.kinds import parse_kinds
from embedtune.synthesize.sampling import Sample, sample_documents
from embedtune.synthesize.setting import GenerationSetting, Tally

__all__ = ["GenerateOptions", "Generated", "GenerationReport", "Planned", "estimate_generation", "generate_queries"]


class GenerateOptions(Options):
    """How many documents are asked about, and what for."""

    documents: int | None = Field(
        default=1000, ge=1, description="How many documents to make queries for, chosen to cover the corpus."
    )
    per_document: int | None = Field(
        default=None, ge=1, description="Queries for each document; default: 1 to 3, by its length."
    )
    kinds: str | None = Field(
        default=None, description="Query kinds with weights, such as question=3,keyword=2; default: the backend's mix."
    )
    document_tokens: int = Field(
        default=2000,
        ge=1,
        description="Longest part of a document that is read, in tokens from its beginning; what an encoder reads, "
        "where that is less.",
    )
    seed: int = Field(default=42, description="Decides which documents and which kinds are drawn.")
    into: str = Field(default="train", description="Split that the queries go into.")


@dataclass(frozen=True)
class GenerationReport:
    """What was made and what was not accepted; `facts` are the backend's own, such as calls and cost."""

    sample: Sample
    cut: Cut
    queries: int
    repeated: int
    by_kind: Mapping[str, int]
    by_language: Mapping[str, int]
    documents_without_queries: int
    rejected: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]
    facts: Mapping[str, Any]


class Generated(NamedTuple):
    """The dataset with its new queries, and the report."""

    dataset: RetrievalDataset
    report: GenerationReport


class Planned(NamedTuple):
    """Which documents would be asked about, how far they would be read, and the cost."""

    sample: Sample
    cut: Cut
    estimate: Estimate


def generate_queries(
    dataset: RetrievalDataset,
    backend: str = DEFAULT_BACKEND,
    backend_options: Options | None = None,
    options: GenerateOptions | None = None,
    *,
    encoder: Encoder | None = None,
    cache: EmbeddingCache | None = None,
    cache_folder: Path | None = None,
) -> Generated:
    """Returns the dataset with queries that a backend made from a sample of its documents.

    What is in the dataset stays; the new queries go to the split `options.into`, with the document
    they were made from in `relevant_docs` and their answers in `reference_answers`. The field
    `synthesis` records how each was made. With an encoder the sample covers the clusters of the
    documents' embeddings. `cache_folder` is where a backend keeps replies.
    """
    options = options or GenerateOptions()
    plugin = BACKENDS.load(backend)
    backend_options = backend_options or plugin.OPTIONS()
    sample, cut = _chosen(dataset, options, encoder, cache)
    setting = _setting(plugin, dataset, options, cache_folder, _embed(encoder, cache))
    made = list(plugin.generate(cut.texts, backend_options, setting))
    record = {"backend": backend, "kinds": setting.kinds, "documents": len(cut.texts), "tokens_read": cut.limit}
    record |= options.model_dump(mode="json", include={"per_document", "seed"}) | setting.tally.record
    added = add_queries(dataset, made, record, options.into, sample.copies)
    return Generated(added.dataset, _report(sample, cut, added, setting.tally))


def estimate_generation(
    dataset: RetrievalDataset,
    backend: str = DEFAULT_BACKEND,
    backend_options: Options | None = None,
    options: GenerateOptions | None = None,
    *,
    encoder: Encoder | None = None,
    cache: EmbeddingCache | None = None,
    cache_folder: Path | None = None,
) -> Planned:
    """Returns what generate_queries would do, and what that would cost; nothing is asked or spent."""
    options = options or GenerateOptions()
    plugin = BACKENDS.load(backend)
    sample, cut = _chosen(dataset, options, encoder, cache)
    if not hasattr(plugin, "estimate"):
        return Planned(sample, cut, Estimate(len(cut.texts), 0, 0, 0, 0, None, 0))
    setting = _setting(plugin, dataset, options, cache_folder, _embed(encoder, cache))
    return Planned(sample, cut, plugin.estimate(cut.texts, backend_options or plugin.OPTIONS(), setting))


def _chosen(
    dataset: RetrievalDataset, options: GenerateOptions, encoder: Encoder | None, cache: EmbeddingCache | None
) -> tuple[Sample, Cut]:
    sample = sample_documents(dataset.corpus, options.documents, options.seed, encoder, cache)
    texts = {document_id: dataset.corpus[document_id] for document_id in sample.document_ids}
    cut = cut_documents(texts, options.document_tokens, encoder)
    if cut.shortened:
        whose = "the encoder reads" if cut.by_encoder else "--document-tokens allows"
        progress.say(f"{len(cut.shortened)} of {len(texts)} documents are cut at the {cut.limit} tokens that {whose}")
    return sample, cut


def _embed(encoder: Encoder | None, cache: EmbeddingCache | None) -> Embed | None:
    if encoder is None:
        return None
    return lambda texts: (cache or EmbeddingCache(None)).encode(encoder, texts, "query")


def _setting(
    plugin: Any, dataset: RetrievalDataset, options: GenerateOptions, cache_folder: Path | None, embed: Embed | None
) -> GenerationSetting:
    sources = dataset.extra.get("document_sources") or {}
    return GenerationSetting(
        parse_kinds(options.kinds, plugin.KINDS),
        options.per_document,
        options.seed,
        cache_folder,
        headings={name: source.get("headings", ()) for name, source in sources.items()},
        embed=embed,
    )


def _report(sample: Sample, cut: Cut, added: Added, tally: Tally) -> GenerationReport:
    fresh = added.queries.values()
    return GenerationReport(
        sample,
        cut,
        queries=len(added.queries),
        repeated=added.repeated,
        by_kind=dict(Counter(query.kind for query in fresh)),
        by_language=dict(Counter(query.language for query in fresh)),
        documents_without_queries=len(set(sample.document_ids) - {query.document_id for query in fresh}),
        rejected=dict(tally.rejected),
        examples=tally.examples,
        facts=tally.facts,
    )
