"""embedtune eval: how well does an encoder, BM25 or both retrieve?"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedtune import progress
from embedtune.artifact import refuse_strangers
from embedtune.cli.flags import command
from embedtune.cli.help import one_of
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.json_format import read_qrels
from embedtune.errors import OptionsError
from embedtune.models.cache_options import CacheOptions
from embedtune.models.encoder import Encoder, EncoderOptions
from embedtune.search.engine_options import EngineOptions
from embedtune.search.indexes import INDEXES
from embedtune.search.store_search import StoreSearch, refuse_engine
from embedtune.search.stores import STORES

if TYPE_CHECKING:
    from embedtune.evaluate.scores import Scores

__all__ = ["eval_command"]

_RETRIEVERS = ("dense", "bm25", "hybrid")
_MAIN = "ndcg_at_10"


@command
def eval_command(
    dataset: Annotated[Path, typer.Argument(help="Dataset: a JSON file or a folder of tables.", metavar="D")],
    encoder_options: EncoderOptions,
    engine_options: EngineOptions,
    store_search: StoreSearch,
    cache_options: CacheOptions,
    encoder: Annotated[
        str | None, typer.Option(help="minilm, a model folder, or a name on the Hugging Face Hub.")
    ] = None,
    retriever: Annotated[
        str, typer.Option(help="dense, bm25 or hybrid.", autocompletion=one_of(lambda: _RETRIEVERS))
    ] = "dense",
    index: Annotated[
        str,
        typer.Option(
            help=f"Index of dense search: {', '.join(INDEXES.names())}; all but exact are approximate. Or the store "
            f"that publish filled with this encoder: {', '.join(STORES.names())}; no document is encoded then.",
            autocompletion=one_of(lambda: [*INDEXES.names(), *STORES.names()]),
        ),
    ] = "exact",
    split: Annotated[str, typer.Option(help="Split whose queries are asked; all for every query.")] = "val",
    top_k: Annotated[int, typer.Option(help="Documents to retrieve for a query.", min=1)] = 10,
    qrels: Annotated[
        Path | None, typer.Option(help="JSON with graded judgements that replace the dataset's own.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for per-query scores and the run.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an evaluation in --out.")] = False,
) -> None:
    """Measures retrieval on a split; prints JSON.

    Example: embedtune eval dataset.json --encoder minilm --split test --out runs/base

    In a vector store: embedtune eval dataset.json --encoder minilm --index lancedb --path store
    """
    from embedtune.evaluate.evaluation import EVALUATION, evaluate, write_evaluation
    from embedtune.search.engine import Engine
    from embedtune.search.retrievers import make_retriever, needs_encoder
    from embedtune.search.store_index import StoreIndex, opened_index

    if out is not None:
        refuse_strangers(out, EVALUATION, overwrite)
    if needs_encoder(retriever) and encoder is None:
        raise OptionsError(f"the retriever {retriever!r} needs an encoder", remedy="name one with --encoder")
    if not needs_encoder(retriever) and engine_options.engine != "local":
        raise OptionsError(f"the retriever {retriever!r} has nothing to encode", remedy="leave out --engine")
    refuse_engine(index, engine_options)
    Engine(engine_options).check()
    data = RetrievalDataset.read(dataset)
    query_count = len(data.split_query_ids(split))
    judged = None if qrels is None else read_qrels(qrels)
    progress.say(f"{dataset}: {len(data.corpus)} documents, {query_count} queries in split {split!r}")
    loaded = None
    if needs_encoder(retriever) and encoder is not None:
        from embedtune.models.encoder import load_encoder

        loaded = load_encoder(encoder, encoder_options)
        progress.say(f"{encoder}: {loaded}")
    cache = cache_options.open()
    engine = Engine(engine_options, encoder, encoder_options)
    store = None
    with ExitStack() as stack:
        searched: str | StoreIndex = index
        if loaded is not None:
            searched = stack.enter_context(opened_index(index, store_search, loaded, data.corpus, cache))
        ranking = make_retriever(retriever, data.corpus, loaded, cache, searched, engine)
        evaluation = evaluate(data, ranking, split=split, top_k=top_k, qrels=judged)
        if isinstance(searched, StoreIndex):
            store = {"place": searched.place, "recall": searched.recall}
    if evaluation.scores.left_out:
        progress.say(f"{len(evaluation.scores.left_out)} queries without a relevant document are left out")
    if loaded is not None:
        documents = cache.encoded_of["document"]
        progress.say(f"encoded {cache.encoded} texts, {documents} of them documents; the rest came from {cache.folder}")
    apart = _apart(data, evaluation.scores, loaded)
    if out is not None:
        made_from = {
            "dataset": str(dataset),
            "dataset_sha256": data.content_hash(),
            "qrels": None if qrels is None else str(qrels),
            "split": split,
            "top_k": top_k,
            "retriever": retriever,
            "index": index if loaded is not None else None,
            "store": store,
            "engine": engine_options.engine,
            "cache_precision": cache_options.cache_precision if loaded is not None else None,
            "encoder": encoder if loaded is not None else None,
            "encoder_key": None if loaded is None else loaded.cache_key,
            "prompts": None
            if loaded is None
            else {"query": loaded.prompt("query"), "document": loaded.prompt("document")},
        }
        write_evaluation(evaluation, out, made_from, overwrite=overwrite, apart=apart)
    typer.echo(json.dumps(evaluation.scores.means(), indent=2))


def _apart(data: RetrievalDataset, scores: Scores, encoder: Encoder | None) -> dict[str, Any] | None:
    """Says and returns the scores apart for queries whose documents moved, where any moved."""
    from embedtune.evaluate.apart import means_apart, queries_about
    from embedtune.models.tuned_encoder import moved_documents_of

    moved = None if encoder is None else moved_documents_of(encoder)
    if moved is None:
        return None
    apart = means_apart(scores, queries_about(data, scores.query_ids, moved.ids))
    for name, group in apart.items():
        best = f": {_MAIN} {group['means'][_MAIN]}" if _MAIN in group["means"] else ""
        progress.say(f"{name}: {group['queries']} queries{best}")
    return apart
