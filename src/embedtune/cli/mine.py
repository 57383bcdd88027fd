"""embedtune mine: positives → hard negatives, and whether they are negative."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.cli.help import one_of
from embedtune.data.checks.finding import counted, snippet
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import OptionsError, StorageError, describe_unknown
from embedtune.evaluate.doctor_options import DoctorOptions
from embedtune.language.options import LanguageOptions
from embedtune.mine.options import MineOptions
from embedtune.models.cache_options import CacheOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.search.engine_options import EngineOptions
from embedtune.search.reranker_options import RerankerOptions
from embedtune.search.store_search import StoreSearch, is_store, refuse_engine
from embedtune.search.stores import STORES

if TYPE_CHECKING:
    from embedtune.evaluate.false_negatives import Diagnosis
    from embedtune.mine.report import MiningReport
    from embedtune.mine.teacher import Teacher

__all__ = ["mine_command"]

_BAR = 30
_TEXT = 100


@command
def mine_command(
    dataset: Annotated[Path, typer.Argument(help="Dataset: a JSON file or a folder of tables.", metavar="D")],
    encoder: Annotated[str, typer.Option(help="minilm, a model folder, or a name on the Hugging Face Hub.")],
    options: MineOptions,
    encoder_options: EncoderOptions,
    engine_options: EngineOptions,
    reranker_options: RerankerOptions,
    language_options: LanguageOptions,
    doctor_options: DoctorOptions,
    store_search: StoreSearch,
    cache_options: CacheOptions,
    out: Annotated[
        Path | None, typer.Option(help="Dataset to write: .json, .arrow (a folder), or a Parquet folder.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split whose queries get negatives; all for every query.")] = "train",
    rerank: Annotated[
        str | None, typer.Option(help="A cross-encoder, folder or Hub name, that drops what is as good as a positive.")
    ] = None,
    judge: Annotated[bool, typer.Option(help="The same by a language model: name it with --model.")] = False,
    diagnosed: Annotated[
        bool,
        typer.Option(
            "--diagnose", help="Look for false negatives: among those mined or, without --out, the dataset's own."
        ),
    ] = False,
    index: Annotated[
        str,
        typer.Option(
            help="exact, or the store that publish filled with this encoder and that finds the dense candidates: "
            f"{', '.join(STORES.names())}; no document is encoded then, except for --diagnose.",
            autocompletion=one_of(lambda: ["exact", *STORES.names()]),
        ),
    ] = "exact",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing --out.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Finds documents that look relevant and aren't.

    Example: embedtune mine dataset.json --encoder minilm --out mined.json

    The case study's rule: embedtune mine dataset.json --encoder minilm --strategy rank-window --from 50 --to 100
    --sample 15 --seed 42 --out mined.json
    """
    from embedtune.evaluate.false_negatives import diagnose
    from embedtune.mine.mining import mine_negatives
    from embedtune.mine.written import with_negatives
    from embedtune.models.encoder import load_encoder
    from embedtune.search.engine import Engine
    from embedtune.search.store_index import StoreIndex, opened_index

    if index != "exact" and not is_store(index):
        raise OptionsError(describe_unknown("index", index, ["exact", *STORES.names()]))
    refuse_engine(index, engine_options)
    engine = Engine(engine_options, encoder, encoder_options)
    engine.check()
    _refuse_nonsense(options, out, dataset, overwrite=overwrite, diagnosed=diagnosed, teachers=bool(rerank) + judge)
    data = RetrievalDataset.read(dataset)
    own = set(data.split_query_ids(split))
    teacher = _teacher(rerank, judge, reranker_options, language_options)
    loaded, cache = load_encoder(encoder, encoder_options), cache_options.open()
    report = None
    if out is not None:
        with opened_index(index, store_search, loaded, data.corpus, cache, strangers=False) as searched:
            words: dict[str, Any] = {"cache": cache, "options": options, "teacher": teacher, "engine": engine}
            words["stored"] = searched if isinstance(searched, StoreIndex) else None
            report = mine_negatives(data, loaded, split=split, **words)
        data = with_negatives(data, report)
        data.write(out)
        documents = cache.encoded_of["document"]
        progress.say(
            f"wrote {out}; encoded {cache.encoded} texts, {documents} of them documents; the rest came from "
            f"{cache.folder}"
        )
    diagnosis = None
    if diagnosed:
        negatives = {query_id: documents for query_id, documents in data.negative_docs.items() if query_id in own}
        diagnosis = diagnose(data, negatives, loaded, cache=cache, options=doctor_options)
    if json_output:
        content = {"options": options.model_dump(by_alias=True), "teacher": teacher.name if teacher else None}
        content |= {"mined": report.to_json() if report else None}
        content |= {"diagnosis": diagnosis.to_json() if diagnosis else None}
        typer.echo(json.dumps(content, ensure_ascii=False, indent=2))
    else:
        lines = [] if report is None else _report_lines(report)
        typer.echo("\n".join(lines + (_diagnosis_lines(diagnosis) if diagnosed else [])))


def _refuse_nonsense(
    options: MineOptions, out: Path | None, dataset: Path, *, overwrite: bool, diagnosed: bool, teachers: int
) -> None:
    if out is None and not diagnosed:
        raise OptionsError("nothing to do", remedy="give --out for the mined dataset, --diagnose, or both")
    if out is not None and out.resolve() == dataset.resolve():
        raise StorageError(f"--out {out} is the dataset itself, which is never changed", remedy="name another path")
    if out is not None and out.exists() and not overwrite:
        raise StorageError(f"{out} exists already and stays as it is", remedy="pass --overwrite to replace it")
    if teachers > 1:
        raise OptionsError("--rerank and --judge are two teachers", remedy="choose one of them")
    if options.relabel and not teachers:
        raise OptionsError("--relabel needs a teacher that reads documents", remedy="add --rerank MODEL or --judge")
    options.check()


def _teacher(
    rerank: str | None, judge: bool, reranker_options: RerankerOptions, language_options: LanguageOptions
) -> Teacher | None:
    """Returns what reads candidates together with their query, loaded; None where neither was asked for."""
    if rerank is not None:
        from embedtune.mine.teacher import RerankerTeacher
        from embedtune.search.reranking import load_reranker

        return RerankerTeacher(load_reranker(rerank, reranker_options), rerank)
    if judge:
        from embedtune.language.model import LanguageModel
        from embedtune.mine.judge import Judge

        return Judge(LanguageModel(language_options))
    return None


def _report_lines(report: MiningReport) -> list[str]:
    count = sum(len(mined) for mined in report.mined.values())
    lines = [
        f"{counted(len(report.mined), 'query', 'queries')}, {counted(count, 'negative')}, "
        f"{counted(report.queries_without_negatives, 'query', 'queries')} without any",
        "dropped: " + ", ".join(f"{rule} {number:,}" for rule, number in report.dropped.items()),
        "found: " + ", ".join(f"{source} {number:,}" for source, number in report.sources.items()),
    ]
    if report.teacher_scores:
        lines.append(
            f"the teacher read {sum(map(len, report.teacher_scores.values())):,} documents, gave no answer for "
            f"{report.unread_by_teacher:,} and relabelled {sum(map(len, report.relabelled.values())):,} as positives"
        )
    if report.leaks:
        one, other = report.leaks[0]
        lines.append(
            f"note: {counted(len(report.leaks), 'query', 'queries')} of the split ask what one of another split asks "
            f"(such as {one!r} and {other!r}); what is relevant there is no negative here, which only the leak "
            "tells: see embedtune check"
        )
    lines += ["", f"{'rank':>16}  negatives"]
    lines += _bars([(ranks, (number,)) for ranks, number in report.rank_histogram()])
    lines += ["", f"{'score':>16}  negatives, lowest-scored positives"]
    lines += _bars([(f"{low:.3f} … {high:.3f}", tuple(numbers)) for low, high, *numbers in report.score_histogram()])
    for sample in report.samples:
        negative = sample.negative
        lines += [
            "",
            f"{sample.query_id!r} {snippet(sample.query, _TEXT)}",
            f"  positive {sample.positive_score:.3f} {sample.positive_id!r} {snippet(sample.positive, _TEXT)}",
            f"  negative {negative.score:.3f} {negative.document_id!r} {snippet(sample.text, _TEXT)}",
            f"           {negative.source}" + (f", rank {negative.rank}" if negative.rank else ""),
        ]
    return lines


def _bars(rows: list[tuple[str, tuple[int, ...]]]) -> list[str]:
    most = max((number for _, numbers in rows for number in numbers), default=1) or 1
    return [
        f"{label:>16}  " + "  ".join(f"{number:>7,} {'#' * round(_BAR * number / most):<{_BAR}}" for number in numbers)
        for label, numbers in rows
    ]


def _diagnosis_lines(diagnosis: Diagnosis | None) -> list[str]:
    if diagnosis is None:
        return ["", "diagnosis: no query has both a relevant document and a negative"]
    lines = [
        "",
        f"diagnosis of {counted(diagnosis.queries, 'query', 'queries')}: loss {diagnosis.loss:.3f} (guessing "
        f"{diagnosis.chance:.3f}), {diagnosis.under:.1%} of the positives score under a negative, "
        f"{diagnosis.suspect:.1%} of the negatives look like hidden positives",
    ]
    return lines + ([f"warning: {warning}" for warning in diagnosis.warnings] or ["nothing looks wrong"])
