"""embedtune filter: drops queries that would teach something wrong, and keeps what it dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import create_model

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import StorageError
from embedtune.language.options import LanguageOptions
from embedtune.models.cache_options import CacheOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.synthesize.filter_rounds import restore_queries
from embedtune.synthesize.filtering import FilterChoice, FilterReport, filter_queries
from embedtune.synthesize.filters import FILTERS
from embedtune.synthesize.material import FilterModels

__all__ = ["filter_command"]

_FIELDS: dict[str, Any] = {
    field: (info.annotation, info)
    for name in FILTERS.names()
    for field, info in FILTERS.load(name).OPTIONS.model_fields.items()
}
_FilterFlags: type[Options] = create_model("FilterFlags", __base__=Options, **_FIELDS)


def filter_command(
    dataset: Annotated[Path, typer.Argument(help="Dataset: a JSON file or a folder of tables.", metavar="D")],
    choice: FilterChoice,
    flags: Options,
    encoder_options: EncoderOptions,
    language_options: LanguageOptions,
    cache_options: CacheOptions,
    out: Annotated[Path, typer.Option(help="Dataset to write: .json, .arrow (a folder), or a Parquet folder.")],
    encoder: Annotated[
        str | None, typer.Option(help="minilm, a model folder, or a name on the Hugging Face Hub; to find documents.")
    ] = None,
    reranker: Annotated[
        str | None, typer.Option(help="A cross-encoder's folder or name on the Hub, to score pairs.")
    ] = None,
    replies_dir: Annotated[
        Path | None, typer.Option(help="Folder of a language model's replies; default: beside the cached vectors.")
    ] = None,
    restore: Annotated[
        bool, typer.Option(help="Put back everything that filters took out of D or relabelled.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing --out.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print every dropped query as JSON.")] = False,
) -> None:
    """Drops made queries that would teach something wrong.

    What is dropped stays in the file, with the reason.

    Example: embedtune filter synthetic.json --encoder minilm --found-by both --out filtered.json
    """
    if out.exists() and not overwrite:
        raise StorageError(f"{out} exists already and stays as it is", remedy="pass --overwrite to replace it")
    data = RetrievalDataset.read(dataset)
    if restore:
        restored = restore_queries(data)
        restored.write(out)
        progress.say(f"wrote {out}: {len(restored.queries):,} queries, {len(data.queries):,} before")
        return
    models = _models(encoder, encoder_options, reranker, language_options, cache_options, replies_dir)
    report = filter_queries(data, _chosen(choice, flags), choice=choice, models=models)
    report.dataset.write(out)
    typer.echo(_as_json(out, report) if json_output else "\n".join(report.words()))
    progress.say(f"wrote {out}")


def _chosen(choice: FilterChoice, flags: Options) -> dict[str, Options]:
    """Returns the filters asked for, each with its own of the flags."""
    chosen: dict[str, Options] = {}
    for name in choice.filters:
        kind: type[Options] = FILTERS.load(name).OPTIONS
        chosen[name] = kind(**{field: getattr(flags, field) for field in kind.model_fields})
    return chosen


def _models(
    encoder: str | None,
    encoder_options: EncoderOptions,
    reranker: str | None,
    language_options: LanguageOptions,
    cache_options: CacheOptions,
    replies_dir: Path | None,
) -> FilterModels:
    """Returns the models that were named; what wasn't named isn't loaded."""
    loaded: dict[str, Any] = {"cache": cache_options.open()}
    if encoder is not None:
        from embedtune.models.encoder import load_encoder

        loaded["encoder"] = load_encoder(encoder, encoder_options)
    if reranker is not None:
        from embedtune.search.reranker_options import RerankerOptions
        from embedtune.search.reranking import load_reranker

        shared = {name: getattr(encoder_options, name) for name in ("precision", "device", "tokens_per_batch")}
        loaded["reranker"] = load_reranker(reranker, RerankerOptions(**shared))
    if language_options.model:
        from embedtune.language.model import LanguageModel

        loaded["language_model"] = LanguageModel(language_options, replies_dir)
    return FilterModels(**loaded)


def _as_json(out: Path, report: FilterReport) -> str:
    return json.dumps({"out": str(out)} | report.to_json(), ensure_ascii=False, indent=2)


filter_command.__annotations__["flags"] = _FilterFlags
filter_command = command(filter_command)
