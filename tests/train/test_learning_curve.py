from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

from embedtune.train.learning_curve import learning_curve_svg

NAMESPACE = "{http://www.w3.org/2000/svg}"


def places(svg, number):
    line = svg.findall(f"{NAMESPACE}polyline")[number]
    return [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]


def test_shows_losses_scores_and_the_best():
    log = [{"step": 0, "ndcg_at_10": 0.5, "mean_loss": None}]
    log += [{"step": step, "loss": 2.0 - 0.01 * step, "learning_rate": 1e-5} for step in range(1, 101)]
    log += [{"step": 50, "ndcg_at_10": 0.7}, {"step": 100, "ndcg_at_10": 0.6}]
    svg = ElementTree.fromstring(learning_curve_svg(log, "ndcg_at_10"))  # noqa: S314 - our own text
    losses, scores = places(svg, 0), places(svg, 1)
    assert len(losses) == 100
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(losses)), "a falling loss falls"
    assert [x for x, _ in scores] == sorted(x for x, _ in scores)
    assert scores[1][1] < scores[2][1] < scores[0][1], "higher scores stand higher"
    texts = [text.text for text in svg.findall(f"{NAMESPACE}text")]
    assert "0.7000 at step 50" in texts
    assert "val ndcg_at_10" in texts


def test_a_long_training_is_thinned_and_an_empty_one_is_drawn():
    log = [{"step": step, "loss": 1.0} for step in range(1, 50_001)]
    svg = learning_curve_svg(log, "ndcg_at_10")
    assert len(svg) < 20_000
    assert len(re.findall("nan|inf", svg)) == 0
    assert learning_curve_svg([{"step": 0, "ndcg_at_10": 0.0}], "ndcg_at_10").startswith("<svg")
    assert learning_curve_svg([], "a<b").count("a&lt;b") == 2
