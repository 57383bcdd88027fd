from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

from embedtune.extras import PURPOSES, installed_extras, needed_packages

ROOT = Path(__file__).parents[1]


def test_every_extra_of_the_package_has_a_purpose():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(PURPOSES) == set(extras) - {"dev"}


def test_needed_packages_are_judged_by_version():
    lines = ["numpy>=2", "typer<0.1", "there-is-no-such-package>=1", "colorama>=9; sys_platform == 'win32'"]
    found = {package.name: package for package in needed_packages(lines)}
    assert list(found) == ["numpy", "typer", "there-is-no-such-package"]
    assert found["numpy"].fits
    assert found["numpy"].installed == version("numpy")
    assert not found["typer"].fits
    assert (found["there-is-no-such-package"].installed, found["there-is-no-such-package"].fits) == ("", False)


def test_a_local_version_fits():
    (torch,) = needed_packages(["torch>=2.13"])
    assert torch.fits, torch.installed  # such as 2.13.0+cpu


def test_extras_say_what_is_missing_and_how_to_install_it():
    lines = [
        "numpy>=2",
        "numpy>=2; extra == 'pdf'",
        "there-is-no-such-package>=1; extra == 'docx'",
        "embedtune[docx,pdf]; extra == 'documents'",
        "pytest; extra == 'dev'",
    ]
    found = {extra.name: extra for extra in installed_extras(lines)}
    assert list(found) == ["docx", "pdf", "documents"]
    assert found["pdf"].missing == ()
    for name in ("docx", "documents"):
        assert [package.name for package in found[name].missing] == ["there-is-no-such-package"]
    assert found["documents"].command == "pip install 'embedtune[documents]'"
