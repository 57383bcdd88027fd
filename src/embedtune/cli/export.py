"""embedtune export: a model → a folder for ONNX Runtime, OpenVINO or fewer bits, with proof that it retrieves alike."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedtune import progress
from embedtune.cli.help import one_of
from embedtune.cli.plugin_command import plugin_command
from embedtune.data.dataset import RetrievalDataset
from embedtune.export.export_options import ExportOptions, ProofOptions
from embedtune.export.exporters import EXPORTERS
from embedtune.models.cache_options import CacheOptions
from embedtune.models.encoder import EncoderOptions

if TYPE_CHECKING:
    from embedtune.export.exporting import Exported

__all__ = ["ExportCommand", "export_command"]

_DEFAULT = "onnx"
_FLAG = "--format"
_REFUSED = 3


def export_command() -> None:
    """Writes a model in another format, and compares the two.

    Exit status 3, and nothing written, where the copy doesn't keep its limits.

    Example: embedtune export tuned --format onnx-int8 --data dataset.json --out exported
    """


def _export_as(format_name: str) -> Callable[..., None]:
    """Returns the command of one format, with that format's options as its flags."""
    plugin = EXPORTERS.load(format_name)

    def export_command(
        model: Annotated[
            str, typer.Argument(help="minilm, a model folder, or a name on the Hugging Face Hub.", metavar="MODEL")
        ],
        data: Annotated[Path, typer.Option(help="Dataset that the export is compared with the model on.")],
        out: Annotated[Path, typer.Option(help="Folder for the exported model.")],
        options: ExportOptions,
        proof_options: ProofOptions,
        encoder_options: EncoderOptions,
        cache_options: CacheOptions,
        format: Annotated[  # noqa: A002
            str, typer.Option(_FLAG, help=f"{', '.join(EXPORTERS.names())}.", autocompletion=one_of(EXPORTERS.names))
        ] = _DEFAULT,
        force: Annotated[bool, typer.Option("--force", help="Write it although it doesn't keep the limits.")] = False,
        overwrite: Annotated[bool, typer.Option(help="Replace an exported model in --out.")] = False,
        json_output: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    ) -> None:
        from embedtune.export.exporting import ExportRefusedError, export

        dataset = RetrievalDataset.read(data)
        made_from = {"dataset": str(data), "dataset_sha256": dataset.content_hash()}
        try:
            exported = export(
                model,
                dataset,
                out,
                format_name=format,
                options=options,
                proof_options=proof_options,
                encoder_options=encoder_options,
                cache=cache_options.open(),
                made_from=made_from,
                force=force,
                overwrite=overwrite,
            )
            refusal = None
        except ExportRefusedError as error:
            exported, refusal = error.exported, error
        typer.echo(_as_json(exported.to_json()) if json_output else "\n".join(_words(exported)))
        if refusal is not None:
            typer.echo(f"embedtune: {refusal}", err=True)
            raise typer.Exit(_REFUSED)
        progress.say(f"wrote {out}")

    example = f"Example: embedtune export tuned --format {format_name} --data dataset.json --out exported"
    export_command.__doc__ = f"{plugin.__doc__}\n\n{inspect.getdoc(plugin.export)}\n\n{example}"
    export_command.__annotations__["options"] = plugin.OPTIONS
    return export_command


def _as_json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2)


def _words(exported: Exported) -> list[str]:
    from embedtune.export.proof import proof_lines

    fidelity = exported.proof.fidelity
    lines = [f"{exported.made}; {fidelity.documents:,} documents, {fidelity.queries:,} queries", ""]
    lines.append(f"{'':<32}{'float32':>12}   {exported.format}")
    lines += [f"{what:<32}{float32:>12}   {here}" for what, float32, here in proof_lines(exported.proof)]
    return lines + [f"limit not kept: {fault}" for fault in exported.faults]


ExportCommand = plugin_command("export", _FLAG, EXPORTERS, _DEFAULT, _export_as)
