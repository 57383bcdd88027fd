"""The example of docs/export.md runs with onnxruntime and tokenizers alone and gives embedtune's own scores."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from embedtune.models.encoder import load_encoder

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
ALONE = """
import sys
assert not {"embedtune", "torch", "transformers", "sentence_transformers"} & set(sys.modules)
"""
QUERY, DOCUMENTS = "水壶里有水垢怎么办", ["白醋加热水浸泡半小时", "Green tea wants water at 80 °C."]


@pytest.mark.parametrize("name", ["onnx", pytest.param("onnx-int8", marks=pytest.mark.slow)])
def test_example(exported, name):
    folder = exported(name).folder
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 22
    words = [sys.executable, "-c", code + ALONE, str(folder), QUERY, *DOCUMENTS]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", check=True)
    scores = [float(line.split(" ", 1)[0]) for line in done.stdout.splitlines()]
    encoder = load_encoder(folder)
    expected = encoder.encode([QUERY], "query")[0] @ encoder.encode(DOCUMENTS, "document").T
    assert scores == pytest.approx(expected.tolist(), abs=1e-5)
