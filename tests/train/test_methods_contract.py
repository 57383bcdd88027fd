"""What every method owes: a folder that opens anywhere, the base where nothing helped, no folder after a mistake."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.numpy import load_file
from tests.conftest import SAMPLE

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.training_set import TrainingSet
from embedtune.errors import DataError, OptionsError, StorageError
from embedtune.evaluate.evaluation import evaluate
from embedtune.mine.mining import mine_negatives
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.sentence_transformer import load_model
from embedtune.search.dense import DenseRetriever
from embedtune.train.lora_training import _add_lora, _merged
from embedtune.train.methods import METHODS
from embedtune.train.methods.adapter import AdapterOptions
from embedtune.train.methods.lora import LoraOptions
from embedtune.train.methods.nudge import NudgeOptions
from embedtune.train.training import TrainOptions, train

FLOAT32 = EncoderOptions(precision="float32")
LEARNS = {
    "full": TrainOptions(epochs=12, batch_size=8, learning_rate=3e-3, validations=4, val_split="train"),
    "lora": LoraOptions(epochs=12, batch_size=8, learning_rate=5e-3, validations=4, val_split="train"),
    "adapter": AdapterOptions(epochs=80, batch_size=8, learning_rate=3e-2, val_split="train"),
    "nudge": NudgeOptions(val_split="train"),
}
ONLY_HURTS = {
    "full": LEARNS["full"].model_copy(update={"learning_rate": 5.0, "epochs": 2}),
    "lora": LEARNS["lora"].model_copy(update={"learning_rate": 1.0, "epochs": 2}),
    "adapter": LEARNS["adapter"].model_copy(update={"learning_rate": 1e4, "epochs": 2}),
    "nudge": NudgeOptions(val_split="val", allow_low_coverage=True),
}
TEXTS = ["水壶里有水垢怎么办", "green tea"]
READER = f"""
import sys
import numpy as np
from sentence_transformers import SentenceTransformer
for folder in sys.argv[1:]:
    model = SentenceTransformer(folder, device="cpu")
    assert not any(name.startswith("embedtune") for name in sys.modules)
    np.savez(folder + ".npz", query=model.encode_query({TEXTS!r}), document=model.encode_document({TEXTS!r}))
"""
every_method = pytest.mark.parametrize("method", METHODS.names())


@pytest.fixture(scope="module")
def sample():
    return RetrievalDataset.read(SAMPLE)


@pytest.fixture(scope="module")
def training_set(sample, tiny_model):
    negatives = mine_negatives(sample, load_encoder(tiny_model, FLOAT32)).negatives
    return TrainingSet.build(sample, "train", negatives, negatives_per_query=2)


def tune(training_set, tiny_model, folder, method, options, **more):
    return train(training_set, str(tiny_model), folder, method=method, options=options, encoder_options=FLOAT32, **more)


@pytest.fixture(scope="module")
def tuned(training_set, tiny_model, tmp_path_factory):
    """Method → the result of one training that helped."""
    folder = tmp_path_factory.mktemp("tuned")
    return {name: tune(training_set, tiny_model, folder / name, name, LEARNS[name]) for name in METHODS.names()}


@every_method
def test_learns_and_is_as_good_as_it_says(tuned, sample, method):
    result = tuned[method]
    assert result.chosen.score > result.checkpoints[0].score + 0.1
    retriever = DenseRetriever(load_encoder(result.model.folder, FLOAT32), sample.corpus, EmbeddingCache(None))
    measure = result.model.manifest["made_from"]["measure"]
    again = evaluate(sample, retriever, split="train").scores.mean(measure)
    assert again == pytest.approx(result.chosen.score, abs=1e-6)


def test_opens_with_plain_sentence_transformers_in_another_process(tuned):
    folders = [str(result.model.folder) for result in tuned.values()]
    subprocess.run([sys.executable, "-c", READER, *folders], check=True)
    for folder in folders:
        ours, plain = load_encoder(folder, FLOAT32), np.load(f"{folder}.npz")
        for kind in ("query", "document"):
            np.testing.assert_allclose(plain[kind], ours.encode(TEXTS, kind), atol=2e-6)
        assert not [*Path(folder).rglob("*.bin"), *Path(folder).rglob("*.p*kl*")]


@every_method
def test_the_base_comes_out_where_it_only_hurts(training_set, tiny_model, tmp_path, sample, method):
    result = tune(training_set, tiny_model, tmp_path / "m", method, ONLY_HURTS[method])
    assert result.chosen.step == 0
    assert load_encoder(tmp_path / "m", FLOAT32).cache_key["weights"] == load_encoder(tiny_model, FLOAT32).fingerprint
    retriever = DenseRetriever(load_encoder(tmp_path / "m", FLOAT32), sample.corpus, EmbeddingCache(None))
    base = DenseRetriever(load_encoder(tiny_model, FLOAT32), sample.corpus, EmbeddingCache(None))
    assert retriever.retrieve(sample.queries, 24).rankings == base.retrieve(sample.queries, 24).rankings


@every_method
def test_nothing_is_written_after_a_mistake(training_set, tiny_model, tmp_path, method):
    one = dataclasses.replace(training_set, examples=training_set.examples[:1])
    with pytest.raises(DataError, match="has 1 query with a relevant document"):
        tune(one, tiny_model, tmp_path / "m", method, None)
    assert not list(tmp_path.iterdir())
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "precious").write_text("x")
    with pytest.raises(StorageError, match="exists already"):
        tune(training_set, tiny_model, tmp_path / "m", method, None)
    with pytest.raises(OptionsError, match="takes"):
        tune(training_set, tiny_model, tmp_path / "n", method, EncoderOptions())


def test_lora_changes_the_linear_layers_only(tuned, tiny_model):
    folders = (tiny_model, tuned["lora"].model.folder)
    before, after = (load_file(folder / "model.safetensors") for folder in folders)
    assert before.keys() == after.keys()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    linear = ("query", "key", "value", "dense")
    assert changed == {
        f"encoder.layer.{layer}.{part}.weight"
        for layer in (0, 1)
        for part in (
            *(f"attention.self.{name}" for name in linear[:3]),
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        )
    }


def test_lora_equals_its_merged_copy(tiny_model):
    model = load_model(str(tiny_model), FLOAT32).eval()
    _add_lora(model, LoraOptions(rank=4))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1, generator=torch.manual_seed(0))
    text = ["boil water with vinegar"]
    before = load_model(str(tiny_model), FLOAT32).encode(text)
    assert np.abs(model.encode(text) - before).max() > 0.01
    np.testing.assert_allclose(_merged(model).encode(text), model.encode(text), atol=1e-6)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft asks for it
def test_peft_loads_the_adapter(tuned, tiny_model):
    folder = tuned["lora"].model.folder
    assert {path.name for path in (folder / "adapter").iterdir()} >= {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    model = load_model(str(tiny_model), FLOAT32).eval()
    model[0].model = PeftModel.from_pretrained(model[0].model, str(folder / "adapter"))
    merged = load_model(str(folder), FLOAT32)
    assert np.abs(merged.encode(TEXTS) - load_model(str(tiny_model), FLOAT32).encode(TEXTS)).max() > 0.01
    np.testing.assert_allclose(model.encode(TEXTS), merged.encode(TEXTS), atol=1e-5)
