"""A model's README.md for the Hub: base, data, method, figures with their intervals, limits, licence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.artifact import MANIFEST, Artifact, write_text_whole
from embedtune.errors import StorageError
from embedtune.export.card_options import CardOptions
from embedtune.export.card_results import MEASURE, CardResult, card_results, result_lines
from embedtune.export.card_words import CARD_WORDS, SIMILARITIES, CardLanguage, CardWords
from embedtune.models.moved_documents import MovedDocuments, has_moved_documents

__all__ = ["CARD", "model_card", "public_record", "write_model_card"]

CARD = "README.md"
_WRITTEN_BY = "<!-- written by embedtune card -->"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_KNOWN_BASES = {"minilm": "sentence-transformers/all-MiniLM-L6-v2"}


def write_model_card(folder: str | Path, options: CardOptions | None = None, *, overwrite: bool = False) -> Path:
    """Writes README.md into a model's folder and returns its path.

    A README.md that this command didn't write stays, unless `overwrite`. Raises StorageError where the
    folder isn't one that embedtune made, or the evaluations can't be compared.
    """
    path = Path(folder) / CARD
    text = model_card(folder, options or CardOptions())
    if path.exists() and not overwrite and _WRITTEN_BY not in path.read_text(encoding="utf-8"):
        raise StorageError(f"{path} is there already and stays as it is", remedy="pass --overwrite to replace it")
    write_text_whole(path, text)
    return path


def model_card(folder: str | Path, options: CardOptions) -> str:
    """Returns the card: the Hub's metadata, then words."""
    path = Path(folder)
    record = public_record(_manifest(path))
    words = CARD_WORDS[options.language]
    results = card_results(options)
    name = path.resolve().name
    parts = [
        f"---\n{_metadata(name, record, results, options)}\n---\n{_WRITTEN_BY}",
        f"# {name}",
        words.made,
        *_about(record, words, options),
        *result_lines(results, record, words, options.verdict),
        *_limits(path, record, words, options.language),
        f"## {words.use}\n\n```python\n{_usage(name)}\n```",
        f"## {words.reproduce}\n\n```json\n{json.dumps(record, ensure_ascii=False, indent=1)}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def public_record(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a manifest whose paths are cut to the last name, so that nobody's folders are published."""

    def shown(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: shown(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [shown(inner) for inner in value]
        return Path(value).name if isinstance(value, str) and _is_local_path(value) else value

    return {key: shown(value) for key, value in manifest.items()}


def _is_local_path(text: str) -> bool:
    return "\n" not in text and (text.startswith(("/", "~", ".", "\\")) or (":\\" in text and " " not in text))


def _manifest(folder: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return Artifact.open(folder, manifest["kind"]).manifest
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{folder} has no readable {MANIFEST}, so there is nothing to tell about it",
            remedy="give a folder that embedtune train, merge or export wrote",
        ) from error


def _metadata(name: str, record: Mapping[str, Any], results: Sequence[CardResult], options: CardOptions) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    made = record.get("made_from", {})
    base = options.base_model or _hub_name(str(made.get("base", "")))
    measured = [
        EvalResult(
            task_type="information-retrieval",
            dataset_type=result.dataset,
            dataset_name=result.dataset,
            dataset_split=result.split,
            metric_type=MEASURE,
            metric_name=MEASURE,
            metric_value=round(result.difference.mean_b, 5),
        )
        for result in results
    ]
    data = ModelCardData(
        base_model=base,
        license=options.license,
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=["sentence-transformers", "feature-extraction", "embedtune"],
        model_name=name if measured else None,
        eval_results=measured or None,
    )
    return data.to_yaml(line_break="\n").strip()


def _hub_name(base: str) -> str | None:
    if base in _KNOWN_BASES:
        return _KNOWN_BASES[base]
    return base if _HUB_NAME.fullmatch(base) and not Path(base).exists() else None


def _about(record: Mapping[str, Any], words: CardWords, options: CardOptions) -> Iterator[str]:
    made = record.get("made_from", {})
    lines = [f"- {words.base}: {options.base_model or made.get('base', '?')}"]
    if "method" in made:
        lines.append(f"- {words.method}: {made['method']}")
    if "dataset" in made:
        fields = {"dataset": "?", "split": "?", "examples": "?"} | dict(made)
        line = words.data_fields.format(
            dataset=fields["dataset"],
            sha256=fields.get("dataset_sha256", "?"),
            split=fields["split"],
            examples=fields["examples"],
        )
        lines.append(f"- {words.data}: {line}")
    if made.get("checkpoints") and "chosen" in made:
        base, tuned = made["checkpoints"][0]["score"], made["chosen"]["score"]
        lines.append(
            "- " + words.val.format(measure=made.get("measure", "?"), base=f"{base:.4f}", tuned=f"{tuned:.4f}")
        )
    if "options" in made:
        shown = ", ".join(f"{name} {value}" for name, value in made["options"].items())
        lines.append(f"- {words.options}: {shown}")
    lines.append(f"- {words.license}: {options.license or words.no_license}")
    yield "\n".join(lines)


def _limits(folder: Path, record: Mapping[str, Any], words: CardWords, language: CardLanguage) -> Iterator[str]:
    settings = _settings(folder)
    lines = []
    if settings.tokens:
        lines.append(words.reads.format(tokens=settings.tokens))
    if settings.dim:
        similarity = SIMILARITIES[language][settings.normalised and not _moved_lengths(folder)]
        lines.append(words.similarity.format(similarity=similarity, dim=settings.dim))
    if has_moved_documents(str(folder)):
        lines.append(words.moved.format(moved=len(MovedDocuments.read(folder).ids)))
    if record.get("made_from", {}).get("chosen", {}).get("step") == 0:
        lines.append(words.nothing_better)
    if lines:
        yield f"## {words.limits}\n\n" + "\n".join(f"- {line}" for line in lines)


@dataclass(frozen=True)
class _Settings:
    """What the folder's own JSON says of its vectors."""

    tokens: int | None
    dim: int | None
    normalised: bool


def _settings(folder: Path) -> _Settings:
    modules = _json(folder / "modules.json") or []
    backbone = _json(folder / "sentence_bert_config.json") or {}
    pooling = next((_json(file) or {} for file in sorted(folder.glob("*_Pooling/config.json"))), {})
    dim = pooling.get("word_embedding_dimension") or pooling.get("embedding_dimension")
    tokens = backbone.get("max_seq_length") or (_json(folder / "tokenizer_config.json") or {}).get("model_max_length")
    return _Settings(tokens, dim, any("Normalize" in str(module.get("type")) for module in modules))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _moved_lengths(folder: Path) -> bool:
    """Returns whether moved documents have other lengths than 1."""
    import numpy as np

    if not has_moved_documents(str(folder)):
        return False
    lengths = np.linalg.norm(MovedDocuments.read(folder).vectors, axis=1)
    return bool(len(lengths)) and float(np.abs(lengths - 1).max()) > 1e-3


def _usage(name: str) -> str:
    return (
        "from sentence_transformers import SentenceTransformer\n\n"
        f'model = SentenceTransformer("{name}")\n'
        'queries = model.encode_query(["…"])\n'
        'documents = model.encode_document(["…"])\n'
        "scores = queries @ documents.T"
    )
