"""Makes queries for a dataset's documents and puts them into it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from embedtune.data.dataset import RetrievalDataset
from embedtune.language.estimate import Estimate
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.options import Options
from embedtune.synthesize.adding import Added, add_queries
from embedtune.synthesize.backends import BACKENDS, DEFAULT_BACKEND
from embedtune.synthesize.kinds import parse_kinds
from embedtune.synthesize.sampling import Sample, sample_documents
from embedtune.synthesize.setting import GenerationSetting, Tally

__all__ = ["GenerateOptions", "Generated", "GenerationReport", "estimate_generation", "generate_queries"]


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
    seed: int = Field(default=42, description="Decides which documents and which kinds are drawn.")
    into: str = Field(default="train", description="Split that the queries go into.")


@dataclass(frozen=True)
class GenerationReport:
    """What was made and what was not accepted; `facts` are the backend's own, such as calls and cost."""

    sample: Sample
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
    sample = sample_documents(dataset.corpus, options.documents, options.seed, encoder, cache)
    setting = _setting(plugin, dataset, options, cache_folder)
    texts = {document_id: dataset.corpus[document_id] for document_id in sample.document_ids}
    made = list(plugin.generate(texts, backend_options, setting))
    record = {"backend": backend, "kinds": setting.kinds, "documents": len(texts)}
    record |= options.model_dump(mode="json", exclude={"kinds", "documents"}) | setting.tally.record
    added = add_queries(dataset, made, record, options.into, sample.copies)
    return Generated(added.dataset, _report(sample, added, setting.tally))


def estimate_generation(
    dataset: RetrievalDataset,
    backend: str = DEFAULT_BACKEND,
    backend_options: Options | None = None,
    options: GenerateOptions | None = None,
    *,
    encoder: Encoder | None = None,
    cache: EmbeddingCache | None = None,
    cache_folder: Path | None = None,
) -> tuple[Sample, Estimate]:
    """Returns the documents that would be asked about, and what that would cost; nothing is spent."""
    options = options or GenerateOptions()
    plugin = BACKENDS.load(backend)
    sample = sample_documents(dataset.corpus, options.documents, options.seed, encoder, cache)
    if not hasattr(plugin, "estimate"):
        return sample, Estimate(len(sample.document_ids), 0, 0, 0, 0, None, 0)
    texts = {document_id: dataset.corpus[document_id] for document_id in sample.document_ids}
    setting = _setting(plugin, dataset, options, cache_folder)
    return sample, plugin.estimate(texts, backend_options or plugin.OPTIONS(), setting)


def _setting(
    plugin: Any, dataset: RetrievalDataset, options: GenerateOptions, cache_folder: Path | None
) -> GenerationSetting:
    sources = dataset.extra.get("document_sources") or {}
    return GenerationSetting(
        parse_kinds(options.kinds, plugin.KINDS),
        options.per_document,
        options.seed,
        cache_folder,
        headings={name: source.get("headings", ()) for name, source in sources.items()},
    )


def _report(sample: Sample, added: Added, tally: Tally) -> GenerationReport:
    fresh = added.queries.values()
    return GenerationReport(
        sample,
        queries=len(added.queries),
        repeated=added.repeated,
        by_kind=dict(Counter(query.kind for query in fresh)),
        by_language=dict(Counter(query.language for query in fresh)),
        documents_without_queries=len(set(sample.document_ids) - {query.document_id for query in fresh}),
        rejected=dict(tally.rejected),
        examples=tally.examples,
        facts=tally.facts,
    )
