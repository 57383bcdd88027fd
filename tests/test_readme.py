"""The README's map names every file, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import embedtune

ROOT = Path(__file__).parents[1]
SOURCE = Path(embedtune.__file__).parent
READMES = ["README.md", "README.zh-CN.md"]


def mapped_files(readme):
    """Returns the paths of the indented map: folders end in /, files belong to the folder above."""
    found, folders = set(), []
    for line in re.search(r"```\n(errors\.py.*?)```", readme, re.DOTALL).group(1).splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        folders = folders[:depth]
        if name.endswith("/"):
            folders.append(name)
        else:
            found.add("".join(folders) + name)
    return found


@pytest.mark.parametrize("name", READMES)
def test_the_map_has_a_line_for_each_file(name):
    files = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if path.name != "__init__.py"}
    assert mapped_files((ROOT / name).read_text(encoding="utf-8")) == files


@pytest.mark.parametrize("name", READMES)
def test_every_verb_is_explained(name, embedtune):
    readme = (ROOT / name).read_text(encoding="utf-8")
    help_text = embedtune("--help").stdout
    verbs = re.findall(r"^  ([a-z]+)  ", help_text.split("Commands:")[1], re.MULTILINE)
    assert len(verbs) >= 4
    for verb in verbs:
        assert f"`embedtune {verb}`" in readme


@pytest.mark.parametrize("name", READMES)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target
