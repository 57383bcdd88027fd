"""embedtune train: a dataset and an encoder → a tuned model, by the method of your choice."""

from __future__ import annotations

import inspect
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from embedtune import processes, progress
from embedtune.artifact import refuse_strangers
from embedtune.cli.gate import GUARD_HELP
from embedtune.cli.help import one_of
from embedtune.cli.plugin_command import plugin_command
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.replay import ReplayOptions, with_guards_kept, with_replay
from embedtune.data.training_set import TrainingSet
from embedtune.merge.options import ChooseOptions
from embedtune.models.cache_options import CacheOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.train.methods import METHODS
from embedtune.train.options import TrainOptions

__all__ = ["TrainCommand", "train_command"]

_DEFAULT = "full"
_FLAG = "--method"


def train_command() -> None:
    """Adapts an encoder to a dataset, and gates what comes out.

    That is the tuned model, a mixture of it and its base, or the base as it was: whatever passes the gate.

    Example: embedtune train mined.json --encoder minilm --method adapter --out tuned
    """


def _train_by(method_name: str) -> Callable[..., None]:
    """Returns the command of one method, with that method's options as its flags."""
    plugin = METHODS.load(method_name)

    def train_command(
        dataset: Annotated[Path, typer.Argument(help="Dataset: a JSON file or a folder of tables.", metavar="D")],
        encoder: Annotated[str, typer.Option(help="minilm, a model folder, or a name on the Hugging Face Hub.")],
        out: Annotated[Path, typer.Option(help="Folder for the tuned model.")],
        choose: ChooseOptions,
        replay_options: ReplayOptions,
        options: Options,
        encoder_options: EncoderOptions,
        cache_options: CacheOptions,
        method: Annotated[
            str, typer.Option(_FLAG, help=f"{', '.join(METHODS.names())}.", autocompletion=one_of(METHODS.names))
        ] = _DEFAULT,
        split: Annotated[str, typer.Option(help="Split whose queries are trained on.")] = "train",
        negatives: Annotated[
            int, typer.Option(help="Hard negatives for each query, the first of its negative_docs.", min=0)
        ] = 4,
        replay: Annotated[
            Path | None,
            typer.Option(help="Dataset of another domain that is mixed in, so that it isn't forgotten."),
        ] = None,
        guard: Annotated[list[str] | None, typer.Option(help=GUARD_HELP)] = None,
        merge: Annotated[
            bool, typer.Option("--merge/--no-merge", help="Try mixtures of the tuned model with its base.")
        ] = True,
        gate: Annotated[
            bool, typer.Option("--gate/--no-gate", help="Without it the tuned model comes out unmixed and unjudged.")
        ] = True,
        num_processes: Annotated[
            int,
            typer.Option(
                help="Processes on this machine that train together, each with its GPU or its part of the cores; what "
                "comes out is the same. For several machines: torchrun ... -m embedtune train ...",
                min=1,
            ),
        ] = 1,
        overwrite: Annotated[bool, typer.Option(help="Replace a tuned model in --out.")] = False,
        json_output: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
    ) -> None:
        from embedtune.evaluate.guards import guards_or_general, read_guards
        from embedtune.models.tuned import TUNED_MODEL
        from embedtune.pipeline.gated_training import GatedTraining, train_alone, train_and_gate
        from embedtune.train.together import leave

        refuse_strangers(out, TUNED_MODEL, overwrite)
        if num_processes > 1 and processes.count() == 1:
            from embedtune.train.launching import launch

            with progress.left_to_others():
                raise typer.Exit(launch(num_processes, sys.argv[1:]))
        given = read_guards(guard or []) if gate and processes.is_writer() else {}
        data = RetrievalDataset.read(dataset)
        guards = guards_or_general(given, data) if gate else {}
        training_set = TrainingSet.build(data, split, data.negative_docs, negatives)
        made_from: dict[str, Any] = {"dataset": str(dataset), "dataset_sha256": data.content_hash(), "split": split}
        progress.say(f"{dataset}: {len(data.corpus)} documents, {len(training_set.examples)} training examples")
        if replay is not None:
            other = RetrievalDataset.read(replay)
            training_set = with_replay(training_set, other, replay_options, negatives=negatives, seed=choose.seed)
            made_from |= {"replay": str(replay), "replay_sha256": other.content_hash()} | replay_options.model_dump()
        if given and isinstance(options, TrainOptions):
            training_set = with_guards_kept(training_set, given, replay_options, seed=choose.seed)
            made_from |= {"guard_share": replay_options.guard_share}
        started = time.perf_counter()
        job = GatedTraining(
            training_set=training_set,
            encoder=encoder,
            folder=out,
            method=method,
            options=options,
            encoder_options=encoder_options,
            choose=choose,
            guards=guards,
            cache=cache_options.open(),
            made_from=made_from,
            mixing=merge,
            overwrite=overwrite,
        )
        outcome = train_and_gate(job) if gate else train_alone(job)
        leave()
        if not processes.is_writer():
            return
        record = dict(outcome.model.manifest["made_from"]) | {"seconds": round(time.perf_counter() - started, 1)}
        lines = [*_words(record), *outcome.why]
        typer.echo(json.dumps(record, ensure_ascii=False, indent=2) if json_output else "\n".join(lines))
        progress.say(f"wrote {out}")

    example = f"Example: embedtune train mined.json --encoder minilm --method {method_name} --out tuned"
    train_command.__doc__ = f"{plugin.__doc__}\n\n{inspect.getdoc(plugin.fit)}\n\n{example}"
    train_command.__annotations__["options"] = plugin.OPTIONS
    return train_command


def _words(record: dict[str, Any]) -> list[str]:
    base, chosen = record["checkpoints"][0], record["chosen"]
    measure = record["measure"]
    return [
        f"{record['method']} on {record['base']}, {record['examples']} examples, {record['seconds']} s",
        f"{measure} on the val split: base {base['score']:.4f}, tuned {chosen['score']:.4f}",
        *record.get("words", ()),
    ]


TrainCommand = plugin_command("train", _FLAG, METHODS, _DEFAULT, _train_by, in_several_processes=True)
