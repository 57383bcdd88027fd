"""NUDGE against the authors' own package, by hand, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nudge import NUDGEM, NUDGEN

from embedtune.train import nudging
from embedtune.train.nudging import GAMMAS, Judged, nudge_m, nudge_n


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Made:
    """Documents in which what training queries ask of a document, val queries ask too."""

    def __init__(self, seed, documents, train, val, movable, dim=24, noise=1.5):
        generator = np.random.default_rng(seed)
        self.documents = unit(generator.standard_normal((documents, dim)))
        hidden = unit(generator.standard_normal((documents, dim)))
        self.train, self.train_answers = self._queries(generator, hidden, train, movable, noise)
        self.val, self.val_answers = self._queries(generator, hidden, val, documents, noise)

    def _queries(self, generator, hidden, count, among, noise):
        answers = [generator.choice(among, size=generator.integers(1, 4), replace=False).tolist() for _ in range(count)]
        rough = [self.documents[rows].mean(axis=0) + 0.6 * hidden[rows[0]] for rows in answers]
        dim = self.documents.shape[1]
        return unit(np.array(rough) + noise * generator.standard_normal((count, dim)) / np.sqrt(dim)), answers

    def judged(self, name):
        pairs = [(row, document) for row, rows in enumerate(getattr(self, f"{name}_answers")) for document in rows]
        return Judged.of(getattr(self, name), pairs)

    def ours(self, nudge, **more):
        moves = nudge(self.documents, self.judged("train"), self.judged("val"), **more)
        vectors = unit(self.documents)
        vectors[moves.rows] = moves.vectors
        return moves.gamma, vectors

    def theirs(self, nudge, **more):
        sets = [
            {"q_embs": getattr(self, name), "q_ans_indx": getattr(self, f"{name}_answers")} for name in ("train", "val")
        ]
        return nudge(torch.device("cpu")).finetune_embeddings(self.documents.copy(), *sets, **more)


@pytest.mark.parametrize(
    "sizes",
    [(300, 200, 120, 300), (300, 200, 120, 60), (300, 40, 120, 300), (50, 400, 30, 50), (300, 60, 40, 4)],
    ids=["half move", "few move", "few queries", "all move", "four move"],
)
@pytest.mark.parametrize("seed", range(2))
def test_equals_the_authors_package(sizes, seed):
    made = Made(seed, *sizes)
    for ours, theirs in ((nudge_n, NUDGEN), (nudge_m, NUDGEM)):
        np.testing.assert_allclose(made.ours(ours)[1], made.theirs(theirs), rtol=1e-6, atol=5e-7)


def test_the_golden_inputs_do_move_documents():
    gammas = [Made(seed, 300, 200, 120, 300).ours(nudge)[0] for nudge in (nudge_n, nudge_m) for seed in range(2)]
    assert sum(gamma > 0 for gamma in gammas) == 4


def test_every_gamma_equals_the_authors_formula(monkeypatch):
    made = Made(0, 60, 100, 20, 60)
    for gamma in GAMMAS[::3]:
        monkeypatch.setattr(nudging, "GAMMAS", (gamma,))
        np.testing.assert_allclose(made.ours(nudge_n)[1], made.theirs(NUDGEN, gamma=gamma), atol=5e-7)


def test_a_deeper_choice_equals_the_authors_recall():
    """Their val_k is the share of a query's answers, at most k, among its k best."""
    for seed in range(3):
        made = Made(seed, 300, 200, 120, 300)

        def recall(rows, scores, made=made):
            found = [len(set(row) & set(a)) / min(len(a), 5) for row, a in zip(rows, made.val_answers, strict=True)]
            return float(np.mean(found))

        _, vectors = made.ours(nudge_n, top_k=5, score_top=recall)
        np.testing.assert_allclose(vectors, made.theirs(NUDGEN, val_k=5), atol=5e-7)


def test_small_blocks_give_the_same(monkeypatch):
    made = Made(0, 300, 200, 120, 200)
    whole = [made.ours(nudge) for nudge in (nudge_n, nudge_m)]
    for name, size in (("_ROWS_PER_PRODUCT", 7), ("_ENTRIES_PER_PRODUCT", 1500), ("_ENTRIES_PER_STEP", 300)):
        monkeypatch.setattr(nudging, name, size)
    for nudge, (gamma, vectors) in zip((nudge_n, nudge_m), whole, strict=True):
        again, same = made.ours(nudge)
        assert again == pytest.approx(gamma, abs=1e-6)
        np.testing.assert_allclose(same, vectors, atol=1e-6)


def test_by_hand():
    """One document, pulled at a right angle: of the unit vectors at distance √γ, the one nearest to the pull."""
    documents = np.eye(3, dtype=np.float32)
    asked = np.array([[0.0, 0.0, 1.0]], dtype=np.float32)
    wanted = unit(np.array([[0.6, 0.65, 0.5]]))  # nearest to document 1 as long as document 0 hasn't moved
    train, val = Judged.of(asked, [(0, 0)]), Judged.of(wanted, [(0, 0)])
    gamma, rows, vectors = nudge_n(documents, train, val)
    assert rows.tolist() == [0]
    assert np.linalg.norm(vectors) == pytest.approx(1, abs=1e-6)
    assert np.sum((vectors - documents[:1]) ** 2) == pytest.approx(gamma, abs=1e-6)
    angle = 2 * np.arcsin(np.sqrt(gamma) / 2)
    np.testing.assert_allclose(vectors, [[np.cos(angle), 0, np.sin(angle)]], atol=1e-6)
    gamma, _, vectors = nudge_m(documents, train, val)
    assert gamma == pytest.approx((0.65 - 0.6) / 0.5, abs=1e-5)
    np.testing.assert_allclose(vectors, [[1, 0, gamma]], atol=1e-6)


def test_nothing_moves_for_val_queries_about_other_documents():
    for seed in range(3):
        made = Made(seed, 200, 100, 60, 50)
        made.val_answers = [[row % 150 + 50 for row in rows] for rows in made.val_answers]
        made.val = made.documents[[rows[0] for rows in made.val_answers]]
        assert made.ours(nudge_n)[0] == 0
        np.testing.assert_allclose(made.ours(nudge_n)[1], made.documents, atol=1e-6)


def test_a_pull_along_the_vector_stays_finite():
    """The authors' package gives NaN where rounding makes cᵀc - (vᵀc)² negative."""
    documents = unit(np.random.default_rng(0).standard_normal((40, 16)))
    train = Judged.of(documents, [(row, row) for row in range(40)])
    val = Judged.of(documents, [(row, (row + 1) % 40) for row in range(40)])
    for nudge in (nudge_n, nudge_m):
        assert np.isfinite(nudge(documents, train, val).vectors).all()
