"""Every loss against sentence-transformers' own, on the same tiny model and batch."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses as theirs
from tests.conftest import build_tiny_model

from embedtune.models.trainable import PaddedTraining
from embedtune.train.gradient_cache import GradientCache
from embedtune.train.losses import LOSSES
from embedtune.train.matryoshka import at_lengths
from embedtune.train.targets import GuideVectors, Targets

CPU = torch.device("cpu")
COUNT, NEGATIVES = 6, 2
MATRYOSHKA = (32, 16, 8)
TEACHER = torch.linspace(-3, 5, COUNT * (1 + NEGATIVES)).view(COUNT, -1)[:, [1, 0, 2]]


@pytest.fixture(scope="module")
def guide(tmp_path_factory):
    folder = build_tiny_model(tmp_path_factory.mktemp("guide"), seed=3)
    return SentenceTransformer(str(folder), device="cpu").eval()


@pytest.fixture
def model(tiny_model):
    return SentenceTransformer(str(tiny_model), device="cpu").eval()


@pytest.fixture
def columns(sample):
    """Six queries, their positives and two negatives each; English and Chinese, no text twice."""
    texts = list(sample.corpus.values())
    return [list(sample.queries.values())[:COUNT], *(texts[i * COUNT : (i + 1) * COUNT] for i in range(1 + NEGATIVES))]


def targets_for(scale=20.0, scores=TEACHER, **more):
    """Documents stand as positives, first negatives, second negatives; nothing is left out."""
    own = torch.eye(COUNT).bool().repeat(1, 1 + NEGATIVES)
    labels = torch.zeros(own.shape, dtype=torch.int64)
    labels[:, :COUNT] = torch.eye(COUNT, dtype=torch.int64)
    wide = torch.full(own.shape, torch.nan)
    wide[own] = scores.flatten()
    return Targets(labels, own, wide, scale, **more)


def guided(guide, columns):
    queries, *documents = columns
    encode = lambda texts: guide.encode(texts, convert_to_tensor=True, normalize_embeddings=True).clone()  # noqa: E731
    return GuideVectors(encode(queries), encode([text for column in documents for text in column]))


def features(model, columns):
    return [model.preprocess(column) for column in columns]


def reference(name, model, guide, columns, lengths=()):
    """Returns the loss of sentence-transformers, its gradients added to the model."""
    pairs = name == "cosent"
    made = {
        "infonce": lambda: theirs.MultipleNegativesRankingLoss(model, scale=20.0),
        "gist": lambda: theirs.CachedGISTEmbedLoss(model, guide, temperature=0.05, mini_batch_size=4),
        "cosent": lambda: theirs.CoSENTLoss(model, scale=20.0),
        "margin-mse": lambda: theirs.MarginMSELoss(model),
        "distill-kl": lambda: theirs.DistillKLDivLoss(model),
    }[name]()
    loss = theirs.MatryoshkaLoss(model, made, list(lengths)) if lengths else made
    used = columns[:2] if pairs else columns
    value = loss(features(model, used), labels=TEACHER[:, 0] if pairs else TEACHER)
    value.backward()
    return value.item()


def ours(name, model, guide, columns, lengths=(), micro_batch_size=1000):
    forward_pass = PaddedTraining(model, "float32", CPU, 16)
    wanted = targets_for(
        scale=1.0 if name in ("margin-mse", "distill-kl") else 20.0,
        guide=guided(guide, columns) if name == "gist" else None,
    )
    documents = [text for column in columns[1:] for text in column]
    batches = [forward_pass.tokenize(columns[0], "query"), forward_pass.tokenize(documents, "document")]
    loss = at_lengths(LOSSES.load(name).loss, lengths)
    cache = GradientCache(forward_pass, micro_batch_size, CPU)
    return cache.backward(batches, lambda *vectors: loss(*vectors, wanted)).item()


def assert_same_gradients(model, expected, rtol=1e-3, atol=2e-5):
    compared = 0
    for parameter, other in zip(model.parameters(), expected.parameters(), strict=True):
        if other.grad is not None and other.grad.abs().max():
            torch.testing.assert_close(parameter.grad, other.grad, rtol=rtol, atol=atol)
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("name", LOSSES.names())
@pytest.mark.parametrize("micro_batch_size", [1000, 5])
@pytest.mark.parametrize("lengths", [(), MATRYOSHKA], ids=["whole", "matryoshka"])
def test_equals_sentence_transformers(name, micro_batch_size, lengths, model, guide, columns):
    expected = copy.deepcopy(model)
    theirs_value = reference(name, expected, guide, columns, lengths)
    value = ours(name, model, guide, columns, lengths, micro_batch_size)
    assert value == pytest.approx(theirs_value, rel=1e-5)
    assert_same_gradients(model, expected)


def test_micro_batches_equal_the_cached_loss(model, columns):
    expected = copy.deepcopy(model)
    cached = theirs.CachedMultipleNegativesRankingLoss(expected, scale=20.0, mini_batch_size=4)
    value = cached(features(expected, columns), labels=None)
    value.backward()
    assert ours("infonce", model, None, columns, micro_batch_size=4) == pytest.approx(value.item(), rel=1e-6)
    assert_same_gradients(model, expected)


def test_the_teachers_softmax_at_the_models_temperature(model, columns):
    """sentence-transformers multiplies by student_temperature², which we leave out."""
    expected = theirs.DistillKLDivLoss(model, student_temperature=0.05, teacher_temperature=1.0)
    value = expected(features(model, columns), labels=TEACHER).item()
    forward_pass = PaddedTraining(model, "float32", CPU, 16)
    texts = [text for column in columns[1:] for text in column]
    vectors = [forward_pass.embed(forward_pass.tokenize(t, "query")) for t in (columns[0], texts)]
    assert LOSSES.load("distill-kl").loss(*vectors, targets_for()).item() * 0.05**2 == pytest.approx(value, rel=1e-4)


def unit(rows, dim, seed):
    return torch.nn.functional.normalize(torch.randn(rows, dim, generator=torch.manual_seed(seed)), dim=1)


@pytest.mark.parametrize("name", LOSSES.names())
def test_what_is_left_out_has_no_influence(name):
    """A document marked -1 may stand anywhere: neither the value nor a gradient depends on it."""
    targets = Targets(
        labels=torch.tensor([[1, 0, -1, -1, 0], [0, 1, -1, -1, 0]]),
        own=torch.tensor([[True, False, True, False, True], [False, True, True, False, False]]),
        scores=torch.tensor([[3.0, torch.nan, 9.0, torch.nan, 1.0], [torch.nan, 2.0, 8.0, torch.nan, torch.nan]]),
        guide=GuideVectors(unit(2, 4, 5), unit(5, 4, 6)),
    )
    loss = LOSSES.load(name).loss
    queries, documents = unit(2, 4, 0), unit(5, 4, 1).requires_grad_()
    value = loss(queries, documents, targets)
    moved = documents.detach().clone()
    moved[2:4] = -moved[2:4]
    assert loss(queries, moved, targets).item() == pytest.approx(value.item(), rel=1e-6)
    value.backward()
    assert documents.grad[2:4].abs().max() == 0
    assert documents.grad[:2].abs().max() > 0
    kept = dataclasses.replace(targets, labels=targets.labels.clamp(min=0))
    if name not in ("cosent",):
        assert loss(queries, moved, kept).item() != pytest.approx(value.item(), rel=1e-3)


@pytest.mark.parametrize("name", ["margin-mse", "distill-kl"])
def test_what_the_teacher_did_not_read_has_no_influence(name):
    loss = LOSSES.load(name).loss
    targets = targets_for()
    queries, documents = unit(COUNT, 8, 0), unit(COUNT * (1 + NEGATIVES), 8, 1)
    targets.scores[0, 2 * COUNT] = torch.nan
    value = loss(queries, documents, targets).item()
    documents[2 * COUNT] = -documents[2 * COUNT]
    assert loss(queries, documents, targets).item() == pytest.approx(value)
    nothing = dataclasses.replace(targets, scores=torch.full_like(targets.scores, torch.nan))
    silent = loss(queries.requires_grad_(), documents, nothing)
    silent.backward()
    assert silent.item() == 0
    assert not queries.grad.isnan().any()


def test_values_by_hand():
    queries, documents = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    own = torch.tensor([[True, True]])
    targets = Targets(torch.tensor([[1, 0]]), own, torch.tensor([[4.0, 1.0]]), scale=1.0)
    losses = {name: LOSSES.load(name).loss for name in LOSSES.names()}
    assert losses["infonce"](queries, documents, targets).item() == pytest.approx(0.313262, abs=1e-5)  # log(1 + 1/e)
    assert losses["margin-mse"](queries, documents, targets).item() == pytest.approx(4.0)  # (1 - 3)²
    both = dataclasses.replace(targets, infonce_weight=0.5)
    alone = losses["distill-kl"](queries, documents, targets).item()
    p, q = 1 / (1 + torch.e**-3), 1 / (1 + torch.e**-1)
    by_hand = p * torch.log(torch.tensor(p / q)) + (1 - p) * torch.log(torch.tensor((1 - p) / (1 - q)))
    assert alone == pytest.approx(by_hand.item(), abs=1e-5)
    assert losses["distill-kl"](queries, documents, both).item() == pytest.approx(alone + 0.5 * 0.313262, abs=1e-5)


def with_dropout(tiny_model):
    return SentenceTransformer(str(tiny_model), device="cpu").train()


def test_dropout_is_repeated(tiny_model, columns):
    """With one text a micro-batch, the gradients are those of one pass that drew the same random numbers."""
    cached, whole = with_dropout(tiny_model), with_dropout(tiny_model)
    wanted = targets_for()
    texts = [text for column in columns[1:] for text in column]

    def batches(forward_pass):
        return [forward_pass.tokenize(columns[0], "query"), forward_pass.tokenize(texts, "document")]

    one_by_one = PaddedTraining(whole, "float32", CPU, 1)
    many = PaddedTraining(cached, "float32", CPU, 1)
    loss = LOSSES.load("infonce").loss
    torch.manual_seed(7)
    value = GradientCache(many, 1, CPU).backward(batches(many), lambda *vectors: loss(*vectors, wanted))
    after = torch.get_rng_state()
    torch.manual_seed(7)
    expected = GradientCache(one_by_one, 1000, CPU).backward(
        batches(one_by_one), lambda *vectors: loss(*vectors, wanted)
    )
    assert torch.equal(after, torch.get_rng_state())
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    assert_same_gradients(cached, whole)


@pytest.mark.parametrize("raised", [MemoryError, pytest.param(RuntimeError, marks=pytest.mark.slow)])
def test_out_of_memory_halves_and_gives_the_same(raised, model, columns, capsys):
    expected = copy.deepcopy(model)
    ours("infonce", expected, None, columns)
    narrow = PaddedTraining(model, "float32", CPU, 16)
    embed = narrow.embed

    def embed_few(batch, positions=None):
        if torch.is_grad_enabled() and (positions is None or len(positions) > 3):
            raise raised("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return embed(batch, positions)

    narrow.embed = embed_few
    documents = [text for column in columns[1:] for text in column]
    batches = [narrow.tokenize(columns[0], "query"), narrow.tokenize(documents, "document")]
    cache = GradientCache(narrow, 1000, CPU)
    loss, wanted = LOSSES.load("infonce").loss, targets_for()
    cache.backward(batches, lambda *vectors: loss(*vectors, wanted))
    assert cache.micro_batch_size == 3
    assert_same_gradients(model, expected)


def test_another_error_is_not_taken_for_memory(model, columns):
    forward_pass = PaddedTraining(model, "float32", CPU, 16)
    batches = [forward_pass.tokenize(column, "query") for column in columns[:2]]

    def broken(*vectors):
        raise RuntimeError("shapes don't match")

    with pytest.raises(RuntimeError, match="shapes"):
        GradientCache(forward_pass, 1000, CPU).backward(batches, broken)
