"""What earlier commands left on disk, as the records that a page shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from embedtune import progress
from embedtune.artifact import Artifact
from embedtune.data.checks.finding import Finding
from embedtune.data.token_counter import encoder_counter
from embedtune.errors import DataError, EmbedtuneError, describe_unknown
from embedtune.evaluate.causes import kept_by
from embedtune.evaluate.evaluation import EVALUATION, Evaluation, read_evaluation
from embedtune.report.content import CurvePoint, MiningFigures, ScoreRange, SystemCosts, TrainingCurve

__all__ = ["StoredSystem", "mining_figures", "read_costs", "read_curve", "read_findings", "read_mining", "read_system"]

_SPECIAL_TOKENS = 2
_MODEL_OF_A_STEP = "model"
_OF_QUERIES_ALONE = ("query_map", "moved_documents")

Result = TypeVar("Result")


def _last_name(folder: Path) -> str:
    """Returns a folder's name; that of the recipe's step for a model that a step left."""
    return folder.parent.name if folder.name == _MODEL_OF_A_STEP else folder.name


@dataclass(frozen=True)
class StoredSystem:
    """An evaluation's folder: its results and what they were made from."""

    evaluation: Evaluation
    made_from: Mapping[str, Any]

    @property
    def made_by(self) -> str:
        """Returns the retriever, and the encoder by its last name."""
        encoder = self.made_from.get("encoder")
        name = "" if encoder is None else f" · {_last_name(Path(str(encoder))) or encoder}"
        return f"{self.made_from.get('retriever', '')}{name}"

    @property
    def document_key(self) -> Any:
        """Returns what decides the documents' vectors; None where there are none."""
        key = self.made_from.get("encoder_key")
        if not key:
            return None
        prompt = (self.made_from.get("prompts") or {}).get("document")
        return {name: value for name, value in key.items() if name not in _OF_QUERIES_ALONE} | {"prompt": prompt}

    def kept(self) -> Callable[[str], str] | None:
        """Returns what the encoder reads of a document; None without one, or where its tokenizer isn't to be had."""
        key, encoder = self.made_from.get("encoder_key") or {}, self.made_from.get("encoder")
        limit = key.get("max_length")
        if limit is None or encoder is None:
            return None
        try:
            counter = encoder_counter(_with_tokenizer(str(encoder)))
        except EmbedtuneError as error:
            progress.say(f"note: what {encoder} cuts off isn't known ({error})")
            return None
        prompt = (self.made_from.get("prompts") or {}).get("document") or ""
        room = limit - _SPECIAL_TOKENS - counter.count_tokens([prompt])[0]
        return kept_by(counter.count_tokens, min(room, counter.max_tokens or room))


def read_system(folder: Path) -> StoredSystem:
    """Returns what eval --out wrote; raises StorageError where that isn't complete."""
    return StoredSystem(read_evaluation(folder), Artifact.open(folder, EVALUATION).manifest["made_from"])


def read_curve(folder: Path) -> TrainingCurve:
    """Returns the validations in a tuned model's manifest."""
    from embedtune.models.tuned import TUNED_MODEL

    made = Artifact.open(folder, TUNED_MODEL).manifest["made_from"]
    points = [CurvePoint(one["step"], one["score"], one["loss"]) for one in made["checkpoints"]]
    return TrainingCurve(
        _last_name(folder.resolve()),
        made["method"],
        made["measure"],
        points,
        made["chosen"]["step"],
        made.get("doubts", ()),
    )


def read_findings(path: Path) -> list[Finding]:
    """Returns the findings that check --json printed, or that a step check left."""
    content = _json(path)
    found = content.get("findings") if isinstance(content, dict) else content
    return _shaped(
        path,
        "embedtune check --json",
        lambda: [
            replace(Finding(**one), ids=tuple(one["ids"]), examples=tuple(one["examples"])) for one in found or ()
        ],
    )


def read_mining(path: Path) -> MiningFigures:
    """Returns the figures in what mine --json printed."""
    content = _json(path)
    return _shaped(path, "embedtune mine --json", lambda: mining_figures(content.get("mined") or content))


def read_costs(path: Path) -> dict[str, SystemCosts]:
    """Returns what a JSON object says of systems: name → cost → number; raises DataError for an unknown cost."""
    known = [field.name for field in fields(SystemCosts)]
    costs = {}
    for name, values in _json(path).items():
        for cost in values:
            if cost not in known:
                raise DataError(describe_unknown("cost", cost, known), where=f"{path}: {name}")
        costs[name] = SystemCosts(**values)
    return costs


def mining_figures(mined: Mapping[str, Any]) -> MiningFigures:
    """Returns the figures in a mining report's to_json()."""
    return MiningFigures(
        queries=mined["queries"],
        negatives=mined["negatives"],
        queries_without_negatives=mined["queries_without_negatives"],
        dropped=mined["dropped"],
        sources=mined["sources"],
        ranks=[(row["ranks"], row["negatives"]) for row in mined["ranks"]],
        scores=[ScoreRange(row["from"], row["to"], row["negatives"], row["positives"]) for row in mined["scores"]],
    )


def _with_tokenizer(encoder: str) -> str:
    """Returns the encoder, or the one that it was tuned from where its own folder has no tokenizer."""
    folder = Path(encoder)
    if folder.is_dir() and not (folder / "tokenizer.json").is_file():
        from embedtune.models.tuned import TUNED_MODEL  # loads torch, which other pages don't need (design/0003)

        return str(Artifact.open(folder, TUNED_MODEL).manifest["made_from"]["base"])
    return encoder


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"not a readable JSON file: {error}", where=str(path)) from None


def _shaped(path: Path, command: str, read: Callable[[], Result]) -> Result:
    try:
        return read()
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} isn't what {command} prints: {error!r}", where=str(path), remedy=f"write it with {command}"
        ) from None
