from __future__ import annotations

import copy

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from embedtune.models.trainable import PaddedTraining
from embedtune.train.contrastive import ContrastiveLoss, contrastive_loss


@pytest.mark.parametrize("texts_per_forward", [1, 3, 16])
def test_equals_multiple_negatives_ranking_loss(tiny_model, sample, texts_per_forward):
    model = SentenceTransformer(str(tiny_model), device="cpu").eval()
    reference = copy.deepcopy(model)
    texts = list(sample.corpus.values())
    queries, positives, negatives = list(sample.queries.values())[:6], texts[:6], texts[6:12]
    theirs = MultipleNegativesRankingLoss(reference, scale=20.0)(
        [reference.preprocess(column) for column in (queries, positives, negatives)], labels=None
    )
    labels = torch.cat([torch.eye(6, dtype=torch.int64), torch.zeros(6, 6, dtype=torch.int64)], dim=1)
    padded = PaddedTraining(model, "float32", torch.device("cpu"), texts_per_forward)
    ours = ContrastiveLoss(padded, 20.0)(
        [model.preprocess(queries), model.preprocess([*positives, *negatives])], labels
    )
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    ours.backward()
    theirs.backward()
    for parameter, expected in zip(model.parameters(), reference.parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(parameter.grad, expected.grad, rtol=1e-3, atol=1e-5)


def test_what_is_left_out_has_no_influence():
    queries = torch.nn.functional.normalize(torch.randn(2, 4, generator=torch.manual_seed(0)), dim=1)
    documents = torch.nn.functional.normalize(torch.randn(3, 4, generator=torch.manual_seed(1)), dim=1)
    masked = contrastive_loss(queries, documents, torch.tensor([[1, 0, -1], [0, 1, -1]]), 20.0)
    without = contrastive_loss(queries, documents[:2], torch.tensor([[1, 0], [0, 1]]), 20.0)
    assert masked.item() == pytest.approx(without.item(), rel=1e-6)


def test_value_by_hand():
    queries = torch.tensor([[1.0, 0.0]])
    documents = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    loss = contrastive_loss(queries, documents, torch.tensor([[1, 0]]), scale=1.0)
    assert loss.item() == pytest.approx(torch.log(1 + torch.exp(torch.tensor(-1.0))).item())
