"""embedtune gate: may this tuned model replace its base?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.guard_options import GateOptions
from embedtune.models.cache_options import CacheOptions
from embedtune.models.encoder import EncoderOptions

__all__ = ["GUARD_HELP", "REFUSED", "gate_command"]

REFUSED = 3
GUARD_HELP = (
    "NAME=DATASET: a set that the model must not get worse on; repeatable. Default: a small general set in the "
    "dataset's languages."
)


@command
def gate_command(
    dataset: Annotated[Path, typer.Argument(help="Dataset: a JSON file or a folder of tables.", metavar="D")],
    base: Annotated[str, typer.Option(help="The model as it was: minilm, a folder, or a name on the Hub.")],
    tuned: Annotated[str, typer.Option(help="The model that is to replace it.")],
    options: GateOptions,
    encoder_options: EncoderOptions,
    cache_options: CacheOptions,
    guard: Annotated[list[str] | None, typer.Option(help=GUARD_HELP)] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Refuses a tuned model without a shown gain, or with a loss.

    Exit status: 0 where it may replace its base, 3 where it gains nothing that is shown or loses a guard.

    Example: embedtune gate dataset.json --base minilm --tuned tuned --guard manuals=manuals.json
    """
    from embedtune.evaluate.gate import gate
    from embedtune.evaluate.guards import read_guards
    from embedtune.models.encoder import load_encoder

    guards = read_guards(guard or [])
    data = RetrievalDataset.read(dataset)
    cache = cache_options.open()
    models = [load_encoder(name, encoder_options) for name in (base, tuned)]
    verdict = gate(data, *models, guards=guards, options=options, cache=cache)
    progress.say(f"encoded {cache.encoded} texts, the rest came from {cache.folder}")
    typer.echo(
        json.dumps(verdict.to_json(), ensure_ascii=False, indent=2) if json_output else "\n".join(verdict.lines())
    )
    if not verdict.passed:
        raise typer.Exit(REFUSED)
