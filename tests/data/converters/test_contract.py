"""What every converter does, whatever it reads."""

from __future__ import annotations

import pytest

from embedtune.data.converters import CONVERTERS
from embedtune.data.dataset import RetrievalDataset
from embedtune.options import Options

MODULE = '"""{name} does one thing well.\n\n{body}\n"""\n'


@pytest.fixture
def docstrings(tmp_path):
    """A folder of Python files with sixty different docstrings."""
    words = [f"{first}{second}" for first in "abcdefghijkl" for second in ("lpha", "ravo", "elta", "cho", "amma")]
    for number, word in enumerate(words):
        body = " ".join(f"{word}{(number * step) % 97} explains part {step}." for step in range(1, 14))
        (tmp_path / f"{word}.py").write_text(MODULE.format(name=word, body=body), encoding="utf-8")
    return tmp_path, {"documents": 50, "seed": 3}


SOURCES = ["docstrings"]


def test_every_converter_has_a_sample():
    assert CONVERTERS.names() == SOURCES


@pytest.mark.parametrize("name", SOURCES)
def test_gives_a_valid_dataset_that_survives_writing(name, request, tmp_path):
    converter = CONVERTERS.load(name)
    source, values = request.getfixturevalue(name)
    (options_class,) = [
        value
        for value in vars(converter).values()
        if isinstance(value, type) and issubclass(value, Options) and value is not Options
    ]
    dataset = converter.convert(source, options_class(**values))
    dataset.write(tmp_path / "out" / "dataset.json")
    again = RetrievalDataset.read(tmp_path / "out" / "dataset.json")
    assert again == dataset
    assert converter.convert(source, options_class(**values)) == dataset
