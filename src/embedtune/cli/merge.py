"""embedtune merge: a base and models tuned from it → one that keeps both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from embedtune import progress
from embedtune.artifact import refuse_strangers
from embedtune.cli.flags import command
from embedtune.cli.gate import GUARD_HELP, REFUSED
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import OptionsError
from embedtune.merge.options import ChooseOptions
from embedtune.models.cache_options import CacheOptions
from embedtune.models.encoder import EncoderOptions

__all__ = ["merge_command"]


@command
def merge_command(
    base: Annotated[str, typer.Option(help="The model as it was: minilm, a folder, or a name on the Hub.")],
    tuned: Annotated[list[str], typer.Option(help="A model tuned from it; repeatable.")],
    out: Annotated[Path, typer.Option(help="Folder for the merged model.")],
    options: ChooseOptions,
    encoder_options: EncoderOptions,
    cache_options: CacheOptions,
    dataset: Annotated[
        Path | None, typer.Argument(help="Dataset that --select chooses by; may be left out without it.", metavar="D")
    ] = None,
    weight: Annotated[
        list[float] | None,
        typer.Option(help="Share of each --tuned, in their order; the base has the rest. Default: half for all."),
    ] = None,
    select: Annotated[
        bool, typer.Option(help="Try the --grid on val and the guards, and take the best that keeps the guards.")
    ] = False,
    guard: Annotated[list[str] | None, typer.Option(help=GUARD_HELP)] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a model in --out.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Mixes tuned models with their base, to lose less elsewhere.

    The mixture's weights lie between those of the base and of the tuned models.

    With --select it ends with exit status 3, and writes nothing, where no share both gains and keeps the guards.

    Example: embedtune merge dataset.json --base minilm --tuned tuned --out merged --select
    """
    from embedtune.evaluate.guards import read_guards
    from embedtune.merge.choosing import choose_weight
    from embedtune.merge.merging import equal_weights, merge
    from embedtune.models.tuned import TUNED_MODEL

    refuse_strangers(out, TUNED_MODEL, overwrite)
    made_from: dict[str, Any] = {}
    shares = weight or None
    if select:
        if weight or dataset is None:
            raise OptionsError(
                "--select chooses the weight by a dataset"
                + (", and --weight gives it" if weight else ", none is given"),
                remedy="embedtune merge D --base B --tuned T --out F --select",
            )
        guards = read_guards(guard or [])
        data = RetrievalDataset.read(dataset)
        cache = cache_options.open()
        choice = choose_weight(
            data, base, tuned, guards=guards, options=options, encoder_options=encoder_options, cache=cache
        )
        for line in choice.lines():
            progress.say(line)
        if choice.chosen is None:
            typer.echo(
                "no share of the tuned model gains on val and keeps the guards: nothing was written, keep the base"
            )
            raise typer.Exit(REFUSED)
        made_from = {
            "dataset": str(dataset),
            "dataset_sha256": data.content_hash(),
            "guards": {name: guard_set.content_hash() for name, guard_set in guards.items()},
            "choice": choice.to_json(),
        }
        shares = equal_weights(choice.weight, len(tuned))
    merged = merge(
        base, tuned, out, weights=shares, encoder_options=encoder_options, made_from=made_from, overwrite=overwrite
    )
    record = dict(merged.manifest["made_from"])
    mixed = ", ".join(f"{share:g} of {name}" for share, name in zip(record["weights"], tuned, strict=True))
    words = f"{mixed}, {1 - sum(record['weights']):g} of {base}"
    typer.echo(json.dumps(record, ensure_ascii=False, indent=2) if json_output else words)
    progress.say(f"wrote {out}")
