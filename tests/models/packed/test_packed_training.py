"""Training without padding: the loss, the gradients and the trained weights are those of sentence-transformers."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from sentence_transformers import SentenceTransformer
from tests.models.packed.conftest import ALPHABET, ARCHITECTURES

from embedtune.models.packed.gradients import attend, dropout
from embedtune.models.packed.texts import pack
from embedtune.models.trainable import PaddedTraining, make_forward

CPU = torch.device("cpu")
POOLINGS = ["mean", "cls", "lasttoken", "max", "mean_sqrt_len_tokens", "weightedmean"]
chooser = random.Random(0)
TEXTS = [
    *("", "a", "你", "<pad>", "a<pad>b", "how long is a text?", "向量检索模型。"),
    *("".join(chooser.choices(ALPHABET, k=length)) for length in (15, 16, 16, 64, 100, 127, 300)),
]


@pytest.fixture
def load(tiny):
    """Returns a function that opens a tiny model for training, with its dropout or without."""

    def open_model(architecture="bert", *, keep_dropout=False, max_length=128, **options):
        model = SentenceTransformer(str(tiny(architecture, **options)), device="cpu").train()
        model.max_seq_length = max_length
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout) and not keep_dropout:
                module.p = 0.0
        return model

    return open_model


def loss_and_gradients(forward, kind="query", positions=None):
    """Returns a loss that has no symmetry, and the gradient of every parameter that has one."""
    forward.model.zero_grad()
    vectors = forward.embed(forward.tokenize(TEXTS, kind), positions)
    weights = torch.linspace(-1, 1, vectors.numel()).cos().view_as(vectors)
    loss = (vectors @ vectors.T).square().mean() + (vectors * weights).sum()
    loss.backward()
    return loss.item(), {n: p.grad.clone() for n, p in forward.model.named_parameters() if p.grad is not None}


def assert_equal_in_training(model, kind="query"):
    """Compares the packed with the padded pass on copies of one model."""
    packed = make_forward(model, "float32", CPU, 4)
    assert packed.name == "packed"
    loss, gradients = loss_and_gradients(packed, kind)
    expected_loss, expected = loss_and_gradients(PaddedTraining(copy.deepcopy(model), "float32", CPU, 4), kind)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert gradients.keys() == expected.keys()
    difference = sum((gradients[name] - expected[name]).square().sum() for name in expected).sqrt()
    assert difference < 1e-5 * sum(gradient.square().sum() for gradient in expected.values()).sqrt()
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-3, atol=2e-5 * gradient.abs().max().item() + 2e-4)


@pytest.mark.parametrize("kind", ["query", "document"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_loss_and_gradients_of_every_architecture(load, architecture, kind):
    assert_equal_in_training(load(architecture), kind)


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_with_and_without_the_prompt(load, pooling, include_prompt):
    assert_equal_in_training(load(pooling=pooling, include_prompt=include_prompt))


def test_modules_after_pooling_learn_too(load):
    model = load(dense=True)
    assert_equal_in_training(model)
    assert model[2].linear.weight.grad.abs().sum() > 0


def test_a_shorter_limit_cuts(load):
    model = load("roberta", max_length=10)
    forward = make_forward(model, "float32", CPU, 4)
    assert forward.lengths(forward.tokenize(TEXTS, "query")).max() == 10
    assert_equal_in_training(model)


def test_lora_layers_are_called(load):
    from peft import LoraConfig, inject_adapter_in_model

    model = load()
    model.requires_grad_(False)
    inject_adapter_in_model(LoraConfig(r=4, target_modules=["query", "value", "intermediate.dense"]), model[0].model)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    assert_equal_in_training(model)
    _, gradients = loss_and_gradients(make_forward(model, "bfloat16", CPU, 4))
    assert gradients
    assert all("lora_" in name and gradient.dtype == torch.float32 for name, gradient in gradients.items())


def test_positions_pick_texts_in_their_order(load):
    model = load()
    for forward in (make_forward(model, "float32", CPU, 4), PaddedTraining(model, "float32", CPU, 4)):
        batch = forward.tokenize(TEXTS, "document")
        everything = forward.embed(batch)
        picked = torch.tensor([12, 0, 5])
        torch.testing.assert_close(forward.embed(batch, picked), everything[picked], rtol=0, atol=2e-6)
        assert forward.lengths(batch).tolist() == [len(model.tokenizer(text)["input_ids"][:128]) for text in TEXTS]


def flat(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients.values()])


def test_bfloat16_points_where_float32_does(load):
    model = load()
    packed = make_forward(model, "bfloat16", CPU, 4)
    assert packed.name == "packed"
    _, gradients = loss_and_gradients(packed)
    _, autocast = loss_and_gradients(PaddedTraining(model, "bfloat16", CPU, 4))
    _, exact = loss_and_gradients(PaddedTraining(model, "float32", CPU, 4))
    assert all(gradient.dtype == torch.float32 for gradient in gradients.values())
    cosine, theirs = (torch.cosine_similarity(flat(some), flat(exact), dim=0).item() for some in (gradients, autocast))
    assert cosine > 0.995
    assert 1 - cosine < 2 * (1 - theirs)


def test_gradient_checkpointing_changes_nothing(load):
    model = load(keep_dropout=True)
    forward = make_forward(model, "float32", CPU, 4)
    torch.manual_seed(3)
    _, plain = loss_and_gradients(forward)
    model[0].model.activation_checkpointing_enable()
    torch.manual_seed(3)
    _, checkpointed = loss_and_gradients(forward)
    torch.testing.assert_close(flat(checkpointed), flat(plain), rtol=1e-5, atol=1e-6)


class TestDropout:
    def test_a_seed_repeats_a_pass_and_another_changes_it(self, load):
        forward = make_forward(load(keep_dropout=True), "float32", CPU, 4)
        batch = forward.tokenize(TEXTS, "query")
        passes = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            passes.append(forward.embed(batch))
        assert torch.equal(passes[0], passes[1])
        assert not torch.allclose(passes[0], passes[2], atol=1e-3)

    def test_is_off_in_evaluation(self, load):
        model = load(keep_dropout=True).eval()
        forward = make_forward(model, "float32", CPU, 4)
        batch = forward.tokenize(TEXTS, "query")
        assert torch.equal(forward.embed(batch), forward.embed(batch))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_keeps_the_mean_and_drops_its_share(self, dtype):
        torch.manual_seed(0)
        x = torch.ones(1000, 300, dtype=dtype, requires_grad=True)
        out = dropout(x, 0.1)
        assert (out == 0).float().mean().item() == pytest.approx(0.1, abs=0.003)
        assert out.float().mean().item() == pytest.approx(1.0, abs=0.005)
        out.sum().backward()
        assert torch.equal(x.grad, out.detach())

    def test_attention_is_right_on_average(self):
        torch.manual_seed(0)
        texts = pack([[0] * length for length in (5, 5, 3, 1)])
        qkv = torch.randn(14, 3 * 8)
        mean = torch.stack([attend(qkv, texts, 2, 0.2) for _ in range(4000)]).mean(dim=0)
        torch.testing.assert_close(mean, attend(qkv, texts, 2, 0.0), rtol=0, atol=0.05)

    def test_gradient_of_attention_is_that_of_its_own_mask(self):
        """Finite differences, the mask held by its seed; in float64, and on two cores as on one."""
        texts = pack([[0] * length for length in (4, 4, 3)])
        qkv = torch.randn(11, 3 * 6, dtype=torch.float64, requires_grad=True)

        def held(x):
            torch.manual_seed(5)
            return attend(x, texts, 2, 0.3)

        assert torch.autograd.gradcheck(held, (qkv,))


def test_threads_change_nothing(load):
    forward = make_forward(load(keep_dropout=True), "float32", CPU, 4)
    host = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            torch.manual_seed(9)
            found.append(flat(loss_and_gradients(forward)[1]))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(host)
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-4)


def test_what_cannot_be_packed_is_padded(load, tmp_path):
    model = load()
    assert make_forward(model, "float16", CPU, 4).name == "sentence-transformers"
    assert make_forward(model, "float32", torch.device("meta"), 4).name == "sentence-transformers"
    model[0].model.config.hidden_act = "relu"
    assert make_forward(model, "float32", CPU, 4).name == "sentence-transformers"


def test_a_whole_training_ends_with_the_same_weights(load):
    queries, documents = TEXTS[:7], TEXTS[7:]
    ends = []
    for make in (make_forward, PaddedTraining):
        model = load()
        forward = make(model, "float32", CPU, 4)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, eps=1e-4)
        for _ in range(8):
            optimizer.zero_grad()
            scores = (
                forward.embed(forward.tokenize(queries, "query"))
                @ forward.embed(forward.tokenize(documents, "document")).T
            )
            torch.nn.functional.cross_entropy(scores * 5, torch.arange(7)).backward()
            optimizer.step()
        ends.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    start = torch.cat([parameter.detach().flatten() for parameter in load().parameters()])
    moved = (ends[1] - start).norm()
    assert moved > 0.1
    assert (ends[0] - ends[1]).norm() < 1e-3 * moved
