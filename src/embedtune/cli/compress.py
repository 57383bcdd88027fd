"""embedtune compress: how small a model's vectors may be, measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.data.dataset import RetrievalDataset
from embedtune.export.vector_options import CompressionOptions
from embedtune.models.cache_options import CacheOptions
from embedtune.models.encoder import EncoderOptions

if TYPE_CHECKING:
    from embedtune.export.compression import CompressionTable

__all__ = ["compress_command"]


@command
def compress_command(
    model: Annotated[
        str, typer.Argument(help="minilm, a model folder, or a name on the Hugging Face Hub.", metavar="MODEL")
    ],
    dataset: Annotated[Path, typer.Argument(help="Dataset: a JSON file or a folder of tables.", metavar="D")],
    options: CompressionOptions,
    encoder_options: EncoderOptions,
    cache_options: CacheOptions,
    json_output: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Measures what int8, binary or shorter vectors would cost.

    A row for each: bytes a vector against ndcg_at_10, beside float32.

    Example: embedtune compress tuned dataset.json --split test
    """
    from embedtune.export.compression import measure_compression
    from embedtune.models.encoder import load_encoder

    data = RetrievalDataset.read(dataset)
    progress.say(f"{dataset}: {len(data.corpus)} documents")
    encoder = load_encoder(model, encoder_options)
    progress.say(f"{model}: {encoder}")
    table = measure_compression(encoder, data, options, cache=cache_options.open())
    typer.echo(json.dumps(table.to_json(), indent=2) if json_output else "\n".join(_words(table)))


def _words(table: CompressionTable) -> list[str]:
    lines = [
        f"{table.documents:,} documents, {table.queries:,} queries of {table.split}, {table.dim} dimensions",
        f"{'vectors':<30}{'bytes':>12}{'ndcg_at_10':>12}{'minus float32':>15}   95 % interval",
    ]
    for row in table.rows:
        size = f"{row.bytes_searched:,}" + (f" + {row.bytes_rescoring:,}" if row.bytes_rescoring else "")
        low, high = row.interval
        difference = f"{row.difference:+.4f}"
        lines.append(f"{row.name:<30}{size:>12}{row.ndcg_at_10:>12.4f}{difference:>15}   {low:+.4f} … {high:+.4f}")
    return [*lines, "bytes a vector: those that are searched + those that only rescoring reads"]
