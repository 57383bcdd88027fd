"""embedtune synth: queries for documents that have none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedtune import progress
from embedtune.cli.help import one_of
from embedtune.cli.plugin_command import plugin_command
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import OptionsError, StorageError
from embedtune.models.cache_options import CacheOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.synthesize.backends import BACKENDS, DEFAULT_BACKEND

if TYPE_CHECKING:
    from embedtune.synthesize.generation import GenerateOptions, GenerationReport, Planned

__all__ = ["SynthCommand", "synth_command"]

_FLAG = "--backend"


def synth_command() -> None:
    """Makes queries for documents that have none.

    Example: embedtune synth dataset.json --out queries.json
    """


def _synth_by(backend_name: str) -> Callable[..., None]:
    """Returns the command of one backend, with that backend's options as its flags."""
    from embedtune.synthesize.generation import GenerateOptions, estimate_generation, generate_queries

    plugin = BACKENDS.load(backend_name)

    def synth_command(
        dataset: Annotated[Path, typer.Argument(help="Dataset: a JSON file or a folder of tables.", metavar="D")],
        generate_options: GenerateOptions,
        options: Options,
        encoder_options: EncoderOptions,
        cache_options: CacheOptions,
        out: Annotated[
            Path | None, typer.Option(help="Dataset to write: .json, .arrow (a folder), or a Parquet folder.")
        ] = None,
        backend: Annotated[
            str, typer.Option(_FLAG, help=f"{', '.join(BACKENDS.names())}.", autocompletion=one_of(BACKENDS.names))
        ] = DEFAULT_BACKEND,
        encoder: Annotated[
            str | None,
            typer.Option(
                help="Encoder that the queries are for (minilm, a folder, a Hub name): documents are chosen from the "
                "clusters of its vectors, and read only as far as it reads them."
            ),
        ] = None,
        dry_run: Annotated[bool, typer.Option(help="Say what it would cost, ask nothing, write nothing.")] = False,
        overwrite: Annotated[bool, typer.Option(help="Replace an existing --out.")] = False,
        json_output: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    ) -> None:
        place = Path() if dry_run else _free_place(out, overwrite)
        data = RetrievalDataset.read(dataset)
        named = _encoder_arguments(encoder, encoder_options, cache_options)
        if dry_run:
            plan = estimate_generation(data, backend, options, generate_options, **named)
            typer.echo(json.dumps(_plan_fields(plan), indent=2) if json_output else "\n".join(_plan_words(plan)))
            return
        made = generate_queries(data, backend, options, generate_options, **named)
        made.dataset.write(place)
        fields = _report_fields(made.report) | {"out": str(place)}
        typer.echo(json.dumps(fields, ensure_ascii=False, indent=2) if json_output else "\n".join(_words(made.report)))
        progress.say(f"wrote {place}")

    example = f"Example: embedtune synth dataset.json --backend {backend_name} --out queries.json"
    synth_command.__doc__ = f"{plugin.__doc__}\n\n{example}"
    synth_command.__annotations__ |= {"options": plugin.OPTIONS, "generate_options": GenerateOptions}
    return synth_command


def _encoder_arguments(encoder: str | None, options: EncoderOptions, cache_options: CacheOptions) -> dict[str, Any]:
    """Returns the encoder, its cache and the place of replies beside it, as the arguments of the functions behind."""
    from embedtune.models.encoder import load_encoder

    return {
        "encoder": None if encoder is None else load_encoder(encoder, options),
        "cache": cache_options.open(),
        "cache_folder": cache_options.replies,
    }


def _free_place(out: Path | None, overwrite: bool) -> Path:
    if out is None:
        raise OptionsError("no place for the result was named", remedy="name it with --out, or pass --dry-run")
    if out.exists() and not overwrite:
        raise StorageError(f"{out} exists already and stays as it is", remedy="pass --overwrite to replace it")
    return out


def _plan_fields(plan: Planned) -> dict[str, Any]:
    estimate = plan.estimate
    return {
        "corpus": plan.sample.corpus,
        "near_duplicates": plan.sample.near_duplicates,
        "documents": len(plan.sample.document_ids),
        "cut_documents": len(plan.cut.shortened),
        "tokens_read": plan.cut.limit,
        "stored_replies": estimate.stored,
        "calls": estimate.calls,
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "cost": estimate.cost,
        "learnt_from": estimate.learnt_from,
    }


def _plan_words(plan: Planned) -> list[str]:
    estimate = plan.estimate
    cost = "unknown: give --input-price and --output-price" if estimate.cost is None else f"{estimate.cost:,.4f}"
    learnt = f"from {estimate.learnt_from:,} stored replies" if estimate.learnt_from else "before any reply"
    return [
        *_sample_words(plan.sample, plan.cut),
        f"calls          {estimate.calls:,}"
        + (f" ({estimate.stored:,} replies are stored already)" if estimate.stored else ""),
        f"input tokens   {estimate.input_tokens:,}",
        f"output tokens  {estimate.output_tokens:,} (a guess {learnt})",
        *([f"cost           {cost}"] if estimate.calls else []),
        "nothing was asked, spent or written",
    ]


def _sample_words(sample: Any, cut: Any) -> list[str]:
    how = f", one from each of {sample.clusters:,} clusters" if sample.clusters else ""
    left_out = f", {sample.near_duplicates:,} near-duplicates left out" if sample.near_duplicates else ""
    lines = [f"documents      {len(sample.document_ids):,} of {sample.corpus:,}{left_out}{how}"]
    if cut.shortened:
        lines.append(f"cut            {len(cut.shortened):,} of them, at {cut.limit:,} tokens")
    return lines


def _report_fields(report: GenerationReport) -> dict[str, Any]:
    return {
        "corpus": report.sample.corpus,
        "near_duplicates": report.sample.near_duplicates,
        "documents": len(report.sample.document_ids),
        "clusters": report.sample.clusters,
        "cut_documents": len(report.cut.shortened),
        "tokens_read": report.cut.limit,
        "queries": report.queries,
        "repeated": report.repeated,
        "by_kind": report.by_kind,
        "by_language": report.by_language,
        "documents_without_queries": report.documents_without_queries,
        "rejected": report.rejected,
        "examples": report.examples,
        **report.facts,
    }


def _words(report: GenerationReport) -> list[str]:
    lines = [
        *_sample_words(report.sample, report.cut),
        f"queries        {report.queries:,} new ({_counts(report.by_kind)})"
        + (f", {report.repeated:,} were there already" if report.repeated else ""),
    ]
    if report.documents_without_queries:
        lines.append(f"without one    {report.documents_without_queries:,} documents")
    for name, value in report.facts.items():
        shown = _counts(value) if isinstance(value, Mapping) else _number(value)
        lines.append(f"{name.replace('_', ' '):<15}{shown}")
    for reason, count in report.rejected.items():
        lines.append(f"rejected       {count:,}: {reason}")
        lines += [f"               e.g. {example}" for example in report.examples.get(reason, ())[:1]]
    return lines


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)


def _number(value: Any) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.4f}" if isinstance(value, float) else f"{value:,}"


SynthCommand = plugin_command("synth", _FLAG, BACKENDS, DEFAULT_BACKEND, _synth_by)
