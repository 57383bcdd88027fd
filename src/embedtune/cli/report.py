"""embedtune report: one page that says what to do, to show to a colleague."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.errors import OptionsError, StorageError
from embedtune.report.options import PageOptions, ReportOptions

__all__ = ["report_command"]


@command
def report_command(
    dataset: Annotated[Path, typer.Argument(help="Dataset that was evaluated.", metavar="D")],
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Folders that eval --out wrote, as FOLDER or NAME=FOLDER; the first is compared with.",
            metavar="RUN...",
        ),
    ],
    options: ReportOptions,
    page_options: PageOptions,
    model: Annotated[
        list[Path] | None, typer.Option(help="A tuned model's folder, for its curve of training; repeatable.")
    ] = None,
    guard: Annotated[
        list[str] | None,
        typer.Option(help="NAME=BASE,TUNED: evaluations of both on a set that mustn't get worse; repeatable."),
    ] = None,
    qrels: Annotated[Path | None, typer.Option(help="The --qrels that the runs were evaluated with.")] = None,
    checks: Annotated[
        Path | None, typer.Option(help="What check --json printed; default: the dataset is checked now.")
    ] = None,
    mining: Annotated[Path | None, typer.Option(help="What mine --json printed.")] = None,
    costs: Annotated[
        Path | None, typer.Option(help="JSON: system → train_seconds, query_milliseconds, size_bytes.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    overwrite: Annotated[bool, typer.Option(help="Replace an existing page.")] = False,
) -> None:
    """Writes one HTML page: decision, table, plots, every query.

    Example: embedtune report dataset.json runs/base runs/tuned --model tuned --guard news=runs/n-base,runs/n-tuned
    """
    from embedtune.report.collecting import Guard, ReportSources, collect
    from embedtune.report.page import write_report

    if out.exists() and not overwrite:
        raise StorageError(f"{out} exists already and stays as it is", remedy="pass --overwrite to replace it")
    sources = ReportSources(
        dataset=dataset,
        runs=_named(runs),
        models=tuple(model or ()),
        guards=tuple(Guard(*_guard(text)) for text in guard or ()),
        qrels=qrels,
        checks=checks,
        mining=mining,
        costs=costs,
    )
    write_report(collect(sources, options), out, page_options)
    progress.say(f"wrote {out}, {out.stat().st_size / 1e6:.1f} MB")
    typer.echo(str(out))


def _named(runs: list[str]) -> dict[str, Path]:
    """Returns name → folder; a folder without a name is called by its last part."""
    named: dict[str, Path] = {}
    for run in runs:
        name, _, folder = run.rpartition("=")
        name = name or Path(folder).resolve().name
        if name in named:
            raise OptionsError(f"two runs are called {name!r}", remedy=f"name them: one={named[name]} other={folder}")
        named[name] = Path(folder)
    return named


def _guard(text: str) -> tuple[str, Path, Path]:
    name, _, folders = text.partition("=")
    base, _, tuned = folders.partition(",")
    if not (name and base and tuned):
        raise OptionsError(f"--guard {text!r} isn't NAME=BASE,TUNED", remedy="such as news=runs/n-base,runs/n-tuned")
    return name, Path(base), Path(tuned)
