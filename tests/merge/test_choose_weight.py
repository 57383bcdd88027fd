"""Which shares are tried; what is measured of them is tested through the command line (tests/cli/test_gate.py)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from embedtune.data.dataset import RetrievalDataset
from embedtune.merge import choosing
from embedtune.merge.options import ChooseOptions

GUARD = RetrievalDataset({"q": "tea"}, {"d": "茶"}, {"q": ["d"]})


@pytest.fixture
def choose(monkeypatch):
    """Chooses where the gain of a share is `gain(share)` and the guard is kept up to a share."""

    def run(kept_up_to, gain=lambda share: share, **options):
        def judge(base, share, split, options):
            score = SimpleNamespace(mean=gain(share), tuned=gain(share))
            return SimpleNamespace(gain=score, guards=[], guards_kept=share <= kept_up_to, warnings=[], split=split)

        monkeypatch.setattr(choosing, "judge", judge)
        monkeypatch.setattr(choosing, "_encoders", lambda *words: lambda share: share)
        monkeypatch.setattr(choosing, "load_encoder", lambda *words: 0.0)
        monkeypatch.setattr(choosing.Trial, "measure", lambda trial, encoder, cache: encoder)
        choice = choosing.choose_weight(GUARD, "b", "t", guards={"g": GUARD}, options=ChooseOptions(**options))
        return [candidate.weight for candidate in choice.candidates], choice.weight

    return run


def test_the_largest_share_that_keeps_the_guard_is_drawn_nearer_to_the_first_that_loses_it(choose):
    assert choose(0.7, grid=(0.5, 1)) == ([0.5, 0.625, 0.75, 1], 0.625)
    assert choose(0.95, grid=(0.5, 1)) == ([0.5, 0.75, 0.875, 1], 0.875)
    assert choose(0.7, grid=(0.5, 1), refinements=0) == ([0.5, 1], 0.5)


def test_no_more_is_tried_where_it_could_not_be_chosen(choose):
    assert choose(1, grid=(0.5, 1)) == ([0.5, 1], 1)
    assert choose(0.1, grid=(0.5, 1)) == ([0.5, 1], 0), "nothing keeps the guard"
    assert choose(0.7, gain=lambda share: 1 - share, grid=(0.5, 1)) == ([0.5, 1], 0.5), "more of it gains less"
