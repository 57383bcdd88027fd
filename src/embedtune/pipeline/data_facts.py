"""What a recipe depends on in the data at hand: splits, negatives, queries, language, positives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.languages import language_of
from embedtune.errors import DataError

__all__ = ["DataFacts", "look_at"]

_LOOKED_AT = 300
_TABLES = ("*.parquet", "*.arrow")


@dataclass(frozen=True)
class DataFacts:
    """Counts of what is there; `documents_only` is a folder of files that aren't a dataset yet."""

    path: Path
    documents_only: bool
    documents: int = 0
    queries: int = 0
    splits: tuple[str, ...] = ()
    train_queries: int = 0
    with_negatives: int = 0
    several_positives: int = 0
    chinese: bool = False


def look_at(path: Path) -> DataFacts:
    """Returns the facts of a dataset, or of a file or folder of documents; raises DataError where nothing is there."""
    if not path.exists():
        raise DataError(f"{path} doesn't exist", remedy="give a dataset, or a folder of documents, with --data")
    if not _is_dataset(path):
        return DataFacts(path, documents_only=True, chinese=_is_chinese(_first_texts(path)))
    data = RetrievalDataset.read(path)
    train = data.queries_split.get("train") or list(data.queries)
    return DataFacts(
        path,
        documents_only=False,
        documents=len(data.corpus),
        queries=len(data.queries),
        splits=tuple(split for split, ids in data.queries_split.items() if ids),
        train_queries=len(train),
        with_negatives=sum(bool(data.negative_docs.get(query_id)) for query_id in train),
        several_positives=sum(len(data.positives(query_id)) > 1 for query_id in data.queries),
        chinese=_is_chinese(list(_some(data))),
    )


def _is_dataset(path: Path) -> bool:
    if path.is_file():
        return path.suffix.lower() == ".json"
    return any(True for pattern in _TABLES for _ in path.glob(pattern))


def _some(data: RetrievalDataset) -> Sequence[str]:
    """Returns some queries, or some documents where there are none, spread over all."""
    texts = data.queries or data.corpus
    return [texts[name] for name in list(texts)[:: max(1, len(texts) // _LOOKED_AT)]]


def _first_texts(path: Path) -> list[str]:
    """Returns the beginnings of some text files."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    texts = []
    for file in files[:_LOOKED_AT]:
        with file.open("rb") as opened:
            texts.append(opened.read(2000).decode("utf-8", "ignore"))
    return texts


def _is_chinese(texts: Sequence[str]) -> bool:
    counts = Counter(language_of(text).startswith("Chinese") for text in texts)
    return counts[True] > counts[False]
