"""embedtune mine: positives → hard negatives, and whether they are negative."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.data.checks.finding import printable
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import OptionsError, StorageError
from embedtune.evaluate.false_negatives import Diagnosis, DoctorOptions, diagnose
from embedtune.mine import MineOptions, MiningReport, mine_negatives, with_negatives
from embedtune.models.encoder import EncoderOptions
from embedtune.search.reranking import RerankerOptions

__all__ = ["mine_command"]

_BAR = 30
_TEXT = 100


@command
def mine_command(
    dataset: Annotated[Path, typer.Argument(help="Dataset: a JSON file or a Parquet folder.", metavar="D")],
    encoder: Annotated[str, typer.Option(help="minilm, a model folder, or a name on the Hugging Face Hub.")],
    encoder_options: EncoderOptions,
    reranker_options: RerankerOptions,
    doctor_options: DoctorOptions,
    options: MineOptions,
    out: Annotated[
        Path | None, typer.Option(help="Dataset to write: a .json file or a Parquet folder.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split whose queries get negatives; all for every query.")] = "train",
    rerank: Annotated[
        str | None, typer.Option(help="A cross-encoder, folder or Hub name, that drops what is as good as a positive.")
    ] = None,
    diagnose_: Annotated[
        bool,
        typer.Option(
            "--diagnose", help="Look for false negatives: among those mined or, without --out, the dataset's own."
        ),
    ] = False,
    cache_dir: Annotated[
        Path | None, typer.Option(help="Folder of cached vectors; default: $EMBEDTUNE_CACHE_DIR or the user's cache.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing --out.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Finds documents that look relevant and aren't.

    Example: embedtune mine dataset.json --encoder minilm --out mined.json

    The case study's rule: embedtune mine dataset.json --encoder minilm --strategy rank-window --from 50 --to 100
    --sample 15 --seed 42 --out mined.json
    """
    from embedtune.models.cache import EmbeddingCache, default_cache_folder
    from embedtune.models.encoder import load_encoder

    if out is None and not diagnose_:
        raise OptionsError("nothing to do", remedy="give --out for the mined dataset, --diagnose, or both")
    if out is not None and out.exists() and not overwrite:
        raise StorageError(f"{out} exists already and stays as it is", remedy="pass --overwrite to replace it")
    options.check()
    data = RetrievalDataset.read(dataset)
    data.split_query_ids(split)
    teacher = _teacher(rerank, reranker_options)
    loaded, cache = load_encoder(encoder, encoder_options), EmbeddingCache(cache_dir or default_cache_folder())
    report = None
    if out is not None:
        report = mine_negatives(data, loaded, split=split, cache=cache, options=options, teacher=teacher)
        data = with_negatives(data, report)
        data.write(out)
        progress.say(f"wrote {out}; encoded {cache.encoded} texts, the rest came from {cache.folder}")
    diagnosis = None
    if diagnose_:
        own = set(data.split_query_ids(split))
        negatives = {query_id: documents for query_id, documents in data.negative_docs.items() if query_id in own}
        diagnosis = diagnose(data, negatives, loaded, cache=cache, options=doctor_options)
    if json_output:
        typer.echo(json.dumps(_content(options, report, diagnosis), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join([*_report_lines(report), *_diagnosis_lines(diagnose_, diagnosis)]))
