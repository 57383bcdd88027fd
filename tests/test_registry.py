from __future__ import annotations

import sys

import pytest

from embedtune.errors import MissingPackageError, OptionsError
from embedtune.registry import Registry


@pytest.fixture
def registry(tmp_path, monkeypatch):
    folder = tmp_path / "made_up_plugins"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "ready.py").write_text('"""Answers.\n\nAt length."""\n\nanswer = 42\n')
    (folder / "needs_more.py").write_text("import a_package_that_nobody_has\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return Registry("made_up_plugins", "plugin")


def test_names_come_from_files_without_importing_them(registry):
    assert registry.names() == ["needs-more", "ready"]
    assert "made_up_plugins.ready" not in sys.modules


def test_summary_is_read_without_importing(registry):
    assert registry.summary("ready") == "Answers."
    assert registry.summary("needs-more") == ""
    assert "made_up_plugins.ready" not in sys.modules


def test_load_returns_the_module(registry):
    assert registry.load("ready").answer == 42


def test_unknown_name(registry):
    with pytest.raises(OptionsError, match=r"unknown plugin 'redy'; did you mean 'ready'\?"):
        registry.load("redy")


def test_missing_package_names_the_extra(registry):
    with pytest.raises(MissingPackageError, match=r"a_package_that_nobody_has.*\n.*embedtune\[needs-more\]"):
        registry.load("needs-more")
