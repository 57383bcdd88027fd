"""The command line: one verb a file, in the order of use."""

from __future__ import annotations

import os

import typer

from embedtune.cli.bakeoff import bakeoff_command
from embedtune.cli.card import card_command
from embedtune.cli.check import check_command
from embedtune.cli.compare import compare_command
from embedtune.cli.compress import compress_command
from embedtune.cli.doctor import doctor_command
from embedtune.cli.eval import eval_command
from embedtune.cli.export import ExportCommand, export_command
from embedtune.cli.filter import filter_command
from embedtune.cli.gate import gate_command
from embedtune.cli.help import VerbApp, VerbGroup
from embedtune.cli.import_ import import_app
from embedtune.cli.init import init_command
from embedtune.cli.merge import merge_command
from embedtune.cli.mine import mine_command
from embedtune.cli.plan import plan_command
from embedtune.cli.publish import PublishCommand, publish_command
from embedtune.cli.quickstart import quickstart_command
from embedtune.cli.report import report_command
from embedtune.cli.run import run_command
from embedtune.cli.runs import runs_app
from embedtune.cli.split import split_command
from embedtune.cli.synth import SynthCommand, synth_command
from embedtune.cli.train import TrainCommand, train_command

__all__ = ["app", "main"]

VERBS = (
    "quickstart",
    "init",
    "doctor",
    "import",
    "check",
    "split",
    "eval",
    "compare",
    "synth",
    "filter",
    "mine",
    "train",
    "merge",
    "gate",
    "export",
    "compress",
    "publish",
    "card",
    "plan",
    "run",
    "runs",
    "bakeoff",
    "report",
)


class VerbsInOrder(VerbGroup):
    """Lists the verbs in the order of use."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Returns the verbs."""
        return list(VERBS)


app = VerbApp(
    name="embedtune",
    cls=VerbsInOrder,
    help="Adapts text-embedding models to your own corpus, and proves that it helped.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=True,
)
app.command("quickstart")(quickstart_command)
app.command("init")(init_command)
app.command("doctor")(doctor_command)
app.add_typer(import_app, name="import")
app.command("check")(check_command)
app.command("split")(split_command)
app.command("eval")(eval_command)
app.command("compare")(compare_command)
app.command("synth", cls=SynthCommand)(synth_command)
app.command("filter")(filter_command)
app.command("mine")(mine_command)
app.command("train", cls=TrainCommand)(train_command)
app.command("merge")(merge_command)
app.command("gate")(gate_command)
app.command("export", cls=ExportCommand)(export_command)
app.command("compress")(compress_command)
app.command("publish", cls=PublishCommand)(publish_command)
app.command("card")(card_command)
app.command("plan")(plan_command)
app.command("run")(run_command)
app.add_typer(runs_app, name="runs")
app.command("bakeoff")(bakeoff_command)
app.command("report")(report_command)


def main() -> None:
    """Runs the command line."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    app()
