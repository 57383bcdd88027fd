"""embedtune check: what would spoil the result, before anything is spent on it."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from embedtune import progress
from embedtune.artifact import write_text_whole
from embedtune.cli.flags import command
from embedtune.data.checks import Finding, check_dataset
from embedtune.data.checks.finding import printable
from embedtune.data.cleaning import Cleaned, clean_dataset
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.usable import Usable, read_usable
from embedtune.errors import StorageError
from embedtune.models.encoder import EncoderOptions
from embedtune.models.encoder_facts import encoder_facts

__all__ = ["check_command"]

_ERRORS_FOUND = 1
_WIDTH = 110
_CHANGES = ".changes.json"


@command
def check_command(
    dataset: Annotated[Path, typer.Argument(help="Dataset: a JSON file or a folder of tables.", metavar="D")],
    encoder_options: EncoderOptions,
    encoder: Annotated[
        str | None, typer.Option(help="Also check the texts against this encoder's limit and prompts.")
    ] = None,
    fix: Annotated[
        Path | None, typer.Option(help="Write a cleaned copy here, and beside it a list of what was changed.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing copy.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Looks for what would spoil a result.

    Exit status: 0 no errors, 1 errors found (left over, with --fix), 2 the dataset can't be read.

    Example: embedtune check dataset.json --encoder minilm --fix clean.json
    """
    if fix is not None:
        _refuse_to_overwrite(fix, dataset, overwrite)
    usable = read_usable(dataset)
    facts = None if encoder is None else encoder_facts(encoder, encoder_options)
    findings = check_dataset(usable.dataset, facts, usable.faults)
    errors = [finding for finding in findings if finding.level == "error"]
    typer.echo(_as_json(dataset, usable, findings) if json_output else _as_screen(dataset, usable, findings))
    if fix is not None:
        cleaned = clean_dataset(usable.dataset, usable.faults)
        _write_copy(cleaned, fix)
        errors = [finding for finding in check_dataset(cleaned.dataset) if finding.level == "error"]
    if errors:
        raise typer.Exit(_ERRORS_FOUND)


def _refuse_to_overwrite(fix: Path, dataset: Path, overwrite: bool) -> None:
    if fix.resolve() == dataset.resolve():
        raise StorageError(f"--fix {fix} is the dataset itself, which is never changed", remedy="name another path")
    if fix.exists() and not overwrite:
        raise StorageError(f"{fix} exists already and stays as it is", remedy="pass --overwrite to replace it")


def _write_copy(cleaned: Cleaned, fix: Path) -> None:
    cleaned.dataset.write(fix)
    changes = fix.with_name(fix.name.removesuffix(".json") + _CHANGES)
    listed = [asdict(change) for change in cleaned.changes]
    write_text_whole(changes, json.dumps(listed, ensure_ascii=False, indent=1) + "\n")
    kinds = Counter(change.code for change in cleaned.changes)
    made = ", ".join(f"{code} {count:,}" for code, count in kinds.items()) or "nothing had to be changed"
    progress.say(f"wrote {fix} ({made}); every change is in {changes}")


def _sizes(dataset: RetrievalDataset) -> dict[str, Any]:
    splits = {split: len(query_ids) for split, query_ids in dataset.queries_split.items()}
    return {"documents": len(dataset.corpus), "queries": len(dataset.queries), "splits": splits}


def _as_json(path: Path, usable: Usable, findings: list[Finding]) -> str:
    content = {"dataset": str(path)} | _sizes(usable.dataset)
    content |= {"levels": _levels(findings), "findings": [asdict(finding) for finding in findings]}
    return json.dumps(content, ensure_ascii=False, indent=2)


def _levels(findings: list[Finding]) -> dict[str, int]:
    found = Counter(finding.level for finding in findings)
    return {"error": found["error"], "warning": found["warning"], "note": found["note"]}


def _as_screen(path: Path, usable: Usable, findings: list[Finding]) -> str:
    sizes = _sizes(usable.dataset)
    splits = ", ".join(f"{split} {count:,}" for split, count in sizes["splits"].items())
    lines = [
        f"{path}: {sizes['documents']:,} documents, {sizes['queries']:,} queries" + (f" ({splits})" if splits else ""),
        ", ".join(f"{count} {level}{'' if count == 1 else 's'}" for level, count in _levels(findings).items()),
    ]
    for finding in findings:
        first = f"{finding.level:<8} {finding.code}: {finding.message}"
        lines += ["", *textwrap.wrap(first, _WIDTH, subsequent_indent=" " * 9, break_on_hyphens=False)]
        lines += [f"         e.g. {_shortened(example)}" for example in finding.examples[:1]]
        if finding.to_do and finding.level != "note":
            lines.append(f"         to do: {finding.to_do}")
    return "\n".join(lines)


def _shortened(example: str) -> str:
    clean = printable(example)
    return clean if len(clean) <= 2 * _WIDTH else clean[: 2 * _WIDTH - 1] + "…"
