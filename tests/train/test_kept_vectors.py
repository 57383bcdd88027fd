from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.cli.test_gate import part_of

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.replay import ReplayOptions, with_guards_kept, with_replay
from embedtune.data.training_set import ReplayedTexts, TrainingSet
from embedtune.errors import OptionsError
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.train.kept_vectors import KeptVectors
from embedtune.train.methods.adapter import AdapterOptions
from embedtune.train.training import TrainOptions, train

FLOAT32 = EncoderOptions(precision="float32")
LESSON = TrainOptions(epochs=8, batch_size=8, learning_rate=2e-3, validations=1, val_split="train", scale=20)


def test_the_loss_is_the_distance_from_the_bases_vectors(tiny_encoder):
    texts = ReplayedTexts(["水壶", "tea", "egg"], 0.5, 0)
    (kept,) = KeptVectors.encode(texts, tiny_encoder, EmbeddingCache(None))
    vectors = tiny_encoder.encode(list(texts.documents), "document")
    assert float(kept.loss(torch.from_numpy(vectors), [0, 1, 2], 20)) == pytest.approx(0, abs=1e-5)
    turned = float(kept.loss(torch.from_numpy(vectors[[1, 0]]), [0, 1], 20))
    assert turned == pytest.approx(20 * (1 - float(vectors[0] @ vectors[1])), abs=1e-4)


def test_queries_are_kept_with_the_prompt_of_queries(tiny_model):
    encoder = load_encoder(tiny_model, EncoderOptions(query_instruction="查询：", precision="float32"))
    replayed = ReplayedTexts(["水壶", "tea"], 0.5, 0, ["水壶", "egg", "cup"])
    documents, queries = KeptVectors.encode(replayed, encoder, EmbeddingCache(None))
    assert (documents.kind, queries.kind) == ("document", "query")
    np.testing.assert_allclose(queries.vectors, encoder.encode(["水壶", "egg", "cup"], "query"), atol=1e-6)
    assert not torch.allclose(documents.vectors[0], queries.vectors[0], atol=1e-3)


def test_draws_depend_on_the_batch_alone():
    kept = KeptVectors("document", [str(number) for number in range(100)], torch.zeros(100, 2), 0.25, 7)
    assert kept.draw([1, 2], 40) == kept.draw([1, 2], 40)
    assert kept.draw([1, 2], 40) != kept.draw([2, 3], 40)
    assert len(set(kept.draw([1, 2], 40))) == 10
    assert len(kept.draw([1], 1)) == 1
    assert len(kept.draw([1], 4000)) == 100


def trained(tiny_model, folder, training_set, **options):
    train(training_set, str(tiny_model), folder, options=LESSON.model_copy(update=options), encoder_options=FLOAT32)
    return load_encoder(folder, FLOAT32)


@pytest.fixture
def held():
    """English pairs, and Chinese documents without queries."""
    silent = RetrievalDataset(queries={}, corpus=part_of("zh").corpus, relevant_docs={})
    return with_replay(TrainingSet.build(part_of("en"), "train"), silent, ReplayOptions(replay_share=0.5))


@pytest.mark.slow
def test_documents_keep_the_vectors_that_training_would_change(tiny_model, tmp_path, held):
    chinese = part_of("zh")
    alone = TrainingSet.build(part_of("en"), "train")
    texts = list(chinese.corpus.values())
    base = load_encoder(tiny_model, FLOAT32).encode(texts, "document")

    def nearness(encoder):
        return float((encoder.encode(texts, "document") * base).sum(axis=1).mean())

    free = nearness(trained(tiny_model, tmp_path / "free", alone))
    assert nearness(trained(tiny_model, tmp_path / "kept", held)) > 1 - (1 - free) / 4
    guarded = with_guards_kept(alone, {"zh": chinese}, ReplayOptions(guard_share=0.5))
    assert nearness(trained(tiny_model, tmp_path / "guarded", guarded)) > 1 - (1 - free) / 4


@pytest.mark.slow
def test_micro_batches_change_nothing(tiny_model, tmp_path, held):
    texts = list(part_of("zh").corpus.values())
    kept_model = trained(tiny_model, tmp_path / "kept", held)
    small = trained(tiny_model, tmp_path / "small", held, micro_batch_size=5)
    np.testing.assert_allclose(small.encode(texts, "document"), kept_model.encode(texts, "document"), atol=1e-3)


def test_a_frozen_model_has_nothing_to_replay(tiny_model, tmp_path):
    mixed = with_replay(TrainingSet.build(part_of("en"), "train"), part_of("zh"), ReplayOptions())
    with pytest.raises(OptionsError, match="nothing to replay"):
        train(mixed, str(tiny_model), tmp_path / "m", method="adapter", options=AdapterOptions())


def test_pairs_are_learnt_and_val_is_not_touched(tiny_model, tmp_path):
    mixed = with_replay(TrainingSet.build(part_of("en"), "train"), part_of("zh"), ReplayOptions(replay_share=0.5))
    alone = TrainingSet.build(part_of("en"), "train")
    options = LESSON.model_copy(update={"epochs": 1})
    results = [
        train(training_set, str(tiny_model), tmp_path / name, options=options, encoder_options=FLOAT32)
        for name, training_set in (("mixed", mixed), ("alone", alone))
    ]
    assert results[0].checkpoints[0].score == results[1].checkpoints[0].score, "the same val, the same documents"
    assert results[0].model.manifest["made_from"]["examples"] == 18
