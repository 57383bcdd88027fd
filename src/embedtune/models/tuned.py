"""What tuning gives: a folder that loads with plain sentence-transformers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from embedtune.artifact import MANIFEST, Artifact

__all__ = ["TUNED_MODEL", "TunedModel"]

TUNED_MODEL = "tuned-model"


@dataclass(frozen=True)
class TunedModel:
    """A tuned model's folder and the manifest that says how it was made."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> TunedModel:
        """Returns the tuned model in a folder; raises StorageError where it isn't complete."""
        artifact = Artifact.open(folder, TUNED_MODEL)
        return cls(artifact.folder, artifact.manifest)

    @classmethod
    def save(
        cls,
        model: SentenceTransformer,
        folder: Path,
        made_from: Mapping[str, Any],
        *,
        overwrite: bool = False,
        beside: Callable[[Path], object] | None = None,
    ) -> TunedModel:
        """Saves weights, pooling, prompts and tokenizer, whole; safetensors and JSON only.

        `beside` is given the folder, still temporary, to write what belongs to the model.
        """
        with Artifact.create(folder, TUNED_MODEL, made_from, overwrite=overwrite) as temporary:
            model.save_pretrained(str(temporary), create_model_card=False, safe_serialization=True)
            if beside is not None:
                beside(temporary)
        return cls.open(folder)

    @classmethod
    def copy(cls, source: Path, folder: Path, made_from: Mapping[str, Any], *, overwrite: bool = False) -> TunedModel:
        """Copies a tuned model's files, whole, under a manifest of its own."""
        with Artifact.create(folder, TUNED_MODEL, made_from, overwrite=overwrite) as temporary:
            shutil.copytree(source, temporary, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
        return cls.open(folder)
