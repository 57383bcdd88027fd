"""embedtune publish: a model's vectors of a corpus → a vector store, searched there and compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embedtune import progress
from embedtune.cli.help import one_of
from embedtune.cli.plugin_command import plugin_command
from embedtune.data.dataset import RetrievalDataset
from embedtune.export.vector_options import PublishOptions
from embedtune.models.cache_options import CacheOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.search.stores import DEFAULT_STORE, STORES
from embedtune.search.vector_store import StoreOptions

if TYPE_CHECKING:
    from embedtune.export.publishing import PublishReport
    from embedtune.export.search_check import SearchCheck

__all__ = ["PublishCommand", "publish_command"]

_FLAG = "--to"
_REFUSED = 3


def publish_command() -> None:
    """Fills a vector store, and checks what its search finds.

    Exit status 3 where the store finds less than it should.

    Example: embedtune publish tuned dataset.json --to lancedb --path store
    """


def _publish_to(store_name: str) -> Callable[..., None]:
    """Returns the command of one store, with that store's options as its flags."""
    plugin = STORES.load(store_name)

    def publish_command(
        model: Annotated[
            str, typer.Argument(help="minilm, a model folder, or a name on the Hugging Face Hub.", metavar="MODEL")
        ],
        dataset: Annotated[Path, typer.Argument(help="Dataset: a JSON file or a folder of tables.", metavar="D")],
        options: StoreOptions,
        publish_options: PublishOptions,
        encoder_options: EncoderOptions,
        cache_options: CacheOptions,
        to: Annotated[
            str, typer.Option(_FLAG, help=f"{', '.join(STORES.names())}.", autocompletion=one_of(STORES.names))
        ] = DEFAULT_STORE,
        json_output: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
    ) -> None:
        from embedtune.export.publishing import publish
        from embedtune.models.encoder import load_encoder

        data = RetrievalDataset.read(dataset)
        progress.say(f"{dataset}: {len(data.corpus)} documents")
        encoder = load_encoder(model, encoder_options)
        progress.say(f"{model}: {encoder}")
        cache = cache_options.open()
        report = publish(encoder, data, to, options, publish_options, cache=cache)
        typer.echo(json.dumps(report.to_json(), indent=2) if json_output else "\n".join(_words(report)))
        if not report.passed:
            raise typer.Exit(_REFUSED)

    example = f"Example: embedtune publish tuned dataset.json --to {store_name} --path store"
    publish_command.__doc__ = f"{plugin.__doc__}\n\n{example}"
    publish_command.__annotations__["options"] = plugin.OPTIONS
    return publish_command


def _words(report: PublishReport) -> list[str]:
    counts = f"{report.added:,} new, {report.replaced:,} replaced, {report.unchanged:,} unchanged"
    lines = [
        f"{report.store}: {report.place}, index {report.index}",
        f"documents      {report.documents:,} of {report.dim} dimensions: {counts}",
        *([f"deleted        {report.deleted:,} that the dataset doesn't have"] if report.deleted else []),
    ]
    if report.missing:
        lines.append(
            f"left over      {report.missing:,} documents of the collection aren't in the dataset; "
            "--delete-missing removes them"
        )
    lines.append("seconds        " + ", ".join(f"{step} {seconds:.1f}" for step, seconds in report.seconds.items()))
    return lines + (["not searched"] if report.check is None else _check_words(report.check))


def _check_words(check: SearchCheck) -> list[str]:
    low, high = check.interval
    return [
        f"recall         {check.recall:.4f} of the exact ten best, {check.queries:,} queries of {check.split} "
        f"(at least {check.least_recall} expected)",
        f"ndcg_at_10     {check.store:.5f} in the store, {check.exact:.5f} exact "
        f"({check.difference:+.5f}, 95 % interval {low:+.5f} … {high:+.5f})",
        *_tie_words(check),
        "the store finds what exact search finds" if check.passed else "REFUSED: the store finds less than it should",
    ]


def _tie_words(check: SearchCheck) -> list[str]:
    if check.difference == check.unexplained:
        return []
    return [f"               {check.unexplained:+.5f} of that without queries where only ties are in another order"]


PublishCommand = plugin_command("publish", _FLAG, STORES, DEFAULT_STORE, _publish_to)
