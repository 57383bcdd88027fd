from __future__ import annotations

import json

import numpy as np
import pytest

from embedtune.data.training_set import TrainingSet
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions
from embedtune.packaged import MINILM
from embedtune.train.options import TrainOptions
from embedtune.train.scale import choose_scale
from embedtune.train.temperature import best_scale, known_scale

FLOAT32 = EncoderOptions(precision="float32")


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        (MINILM, 20),
        ("BAAI/bge-small-zh-v1.5", 50),
        ("BAAI/bge-large-en-v1.5", 50),
        ("intfloat/multilingual-e5-small", 100),
        ("intfloat/e5-base-v2", 100),
        ("sentence-transformers/paraphrase-MiniLM-L6-v2", 20),
        ("thenlper/gte-small", 100),
        ("BAAI/bge-small-zh", None),
        ("someone/their-model", None),
    ],
)
def test_known_by_name(name, scale):
    found = known_scale(name, None)
    assert (found and found.scale) == scale


def test_known_by_what_a_folder_says(tmp_path):
    folder = tmp_path / "my model"
    folder.mkdir()
    assert known_scale(str(folder), folder) is None
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# BAAI/bge-base-zh-v1.5\n", encoding="utf-8")
    assert known_scale(str(folder), folder).scale == 50
    (folder / "config.json").write_text(json.dumps({"_name_or_path": "intfloat/e5-small-v2"}), encoding="utf-8")
    assert known_scale(str(folder), folder).scale == 100
    (folder / "embedtune.json").write_text(json.dumps({"made_from": {"options": {"scale": 33.0}}}), encoding="utf-8")
    assert known_scale(str(folder), folder) == (33.0, "the training that made my model")


def test_the_candidate_that_explains_val_best():
    generator = np.random.default_rng(0)

    def drawn(scale):
        """Relevant documents drawn from the softmax at a scale, so that its likelihood is the highest."""
        similarities = generator.uniform(-1, 1, (400, 30)).astype(np.float32)
        chances = np.exp(scale * similarities)
        chances /= chances.sum(axis=1, keepdims=True)
        return similarities, {row: [int(generator.choice(30, p=chances[row]))] for row in range(400)}

    assert best_scale(*drawn(10)) == 10
    assert best_scale(*drawn(20)) == 20


def test_asked_for_known_or_chosen(sample, tiny_model):
    training_set, cache = TrainingSet.build(sample, "train"), EmbeddingCache(None)
    asked = choose_scale(training_set, str(tiny_model), TrainOptions(scale=7), FLOAT32, cache)
    assert asked == (7, "--scale")
    chosen = choose_scale(training_set, str(tiny_model), TrainOptions(), FLOAT32, cache)
    assert chosen.scale in (10, 20, 30, 50, 100)
    assert "explains val best" in chosen.source
