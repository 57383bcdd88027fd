"""embedtune bakeoff: every remedy side by side, and one recommendation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.cli.gate import GUARD_HELP
from embedtune.evaluate.guard_options import GuardOptions
from embedtune.models.cache_options import CacheOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.pipeline.bakeoff.options import BakeoffOptions
from embedtune.report.options import PageOptions
from embedtune.search.reranker_options import RerankerOptions

__all__ = ["bakeoff_command"]


@command
def bakeoff_command(
    dataset: Annotated[Path, typer.Argument(help="Dataset with train, val and test.", metavar="D")],
    encoder: Annotated[str, typer.Option(help="The base: minilm, a folder, or a name on the Hugging Face Hub.")],
    options: BakeoffOptions,
    guard_options: GuardOptions,
    page: PageOptions,
    encoder_options: EncoderOptions,
    reranker_options: RerankerOptions,
    cache_options: CacheOptions,
    guard: Annotated[list[str] | None, typer.Option(help=GUARD_HELP)] = None,
    reranker: Annotated[
        str | None, typer.Option(help="A cross-encoder, a folder or a name on the Hub; without it nothing is reranked.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of everything; default: runs/bakeoff- and the dataset's name.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait where another run is at work in the folder.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Measures cheap and dear remedies, and recommends one.

    BM25, hybrid search, reranking, an adapter, NUDGE, LoRA, full fine-tuning and a mixture stand beside the base model.
    Each is made within the budget and judged on val and the guards; test is shown once, at the end. Killed and run
    again it goes on.

    Example: embedtune bakeoff dataset.json --encoder minilm --guard manuals=manuals.json --budget 30m --out bakeoff
    """
    from embedtune.evaluate.guards import read_guards
    from embedtune.pipeline.bakeoff.expansion import Bakeoff
    from embedtune.pipeline.bakeoff.running import FIGURES, PAGE, run_bakeoff
    from embedtune.pipeline.bakeoff.table import result_lines
    from embedtune.pipeline.step_kind import Workshop
    from embedtune.report.collecting import dataset_name

    read_guards(guard or [])  # what is wrong with them is said before anything long begins
    places = dict(word.split("=", 1) for word in guard or [])
    folder = out or Path("runs") / f"bakeoff-{dataset_name(dataset)}"
    workshop = Workshop(cache_options.open())
    asked = Bakeoff(
        str(dataset), encoder, places, reranker, options, guard_options, encoder_options, reranker_options
    )  # fmt: skip
    result = run_bakeoff(asked, folder, workshop, page, wait=wait)
    if json_output:
        typer.echo(json.dumps(result.to_json(), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(result_lines(result, page.language)))
    progress.say(f"all figures are in {folder / FIGURES}, the page is {folder / PAGE}")
