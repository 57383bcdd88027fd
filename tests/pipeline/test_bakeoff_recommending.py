"""Which system is recommended, from made scores; no model is needed."""

from __future__ import annotations

import numpy as np
import pytest

from embedtune.evaluate.evaluation import Evaluation
from embedtune.evaluate.guard_options import GuardOptions
from embedtune.evaluate.scores import Scores
from embedtune.pipeline.bakeoff.options import BakeoffOptions, seconds_of
from embedtune.pipeline.bakeoff.recommending import Recommendation, Standing, holm, recommend
from embedtune.pipeline.bakeoff.systems import SYSTEMS
from embedtune.search.run import Run

OPTIONS = GuardOptions(resamples=500)
QUERIES = 300
LEVEL = np.random.default_rng(7).uniform(0.3, 0.6, QUERIES)
"""What the base scores; the others add to it."""


def scored(gain, spread=0.05, seed=1):
    """Returns an evaluation whose queries are better than the base's by `gain`, give or take `spread`."""
    noise = np.random.default_rng(seed).normal(0, spread, QUERIES)
    values = LEVEL + gain + noise - noise.mean()
    ids = tuple(f"q{number}" for number in range(QUERIES))
    return Evaluation(Scores(ids, {"ndcg_at_10": values}), Run({}), dict.fromkeys(ids, "text"), "judged")


def standing(name, gain=0.0, guard=0.0, documents=0):
    seed = list(SYSTEMS).index(name)
    return Standing(SYSTEMS[name], scored(gain, seed=seed), {"manuals": scored(guard, seed=50 + seed)}, documents)


BASE = Standing(SYSTEMS["base"], scored(0, 0), {"manuals": scored(0, 0)})


def choose(*standings, named=("manuals",)):
    return recommend([BASE, *standings], OPTIONS, named_guards=named)


def english(recommendation):
    return "\n".join([recommendation.headline.en, *(reason.en for reason in recommendation.reasons)])


def chinese(recommendation):
    return "\n".join([recommendation.headline.zh, *(reason.zh for reason in recommendation.reasons)])


def test_the_base_is_kept_where_nothing_shows_a_gain():
    made = choose(standing("hybrid", 0.001), standing("full", 0.002))
    assert made.chosen == "base"
    assert made.headline.en == "Keep the base model"
    assert "The nearest is full: +0.20 points" in english(made)
    assert "保留原模型" in chinese(made)
    assert made.fates["full"].words.en == "no gain shown"


def test_a_small_val_says_how_many_queries_would_show_a_gain():
    made = recommend(
        [BASE, Standing(SYSTEMS["full"], scored(0.01, 0.5), {})], OPTIONS, named_guards=[]
    )  # fmt: skip
    assert made.chosen == "base"
    assert "Val has 300 queries; about" in english(made)


def test_the_cheaper_remedy_is_taken_where_the_dearer_one_is_not_shown_to_be_better():
    made = choose(standing("hybrid", 0.05), standing("adapter", 0.052), standing("full", 0.051, documents=5183))
    assert made.chosen == "hybrid"
    assert "Use hybrid search" in made.headline.en
    assert "使用混合检索" in made.headline.zh
    assert "full costs more and isn't shown to be better than hybrid" in english(made)
    assert "No document is encoded again" in english(made)
    assert made.fates["adapter"].words.en == "costs more than hybrid, not shown to be better"


def test_the_dearer_remedy_is_taken_where_it_is_better():
    made = choose(standing("hybrid", 0.02), standing("full", 0.08, documents=5183))
    assert made.chosen == "full"
    assert "hybrid is cheaper and full is better by 6.00 points" in english(made)
    assert "All 5,183 documents must be encoded again" in english(made)
    assert "The guard manuals is kept" in english(made)
    assert "Val also chose where its training stopped" in english(made)
    assert made.fates["hybrid"].words == ("full is better", "full 更好")


def test_a_lost_guard_keeps_new_weights_out_and_the_mixture_takes_their_place():
    made = choose(standing("merged", 0.05, documents=10), standing("full", 0.08, guard=-0.03, documents=10))
    assert made.chosen == "merged"
    assert "full gains +8.00 points on val and loses 3.00 on the guard manuals (allowed: 0.50)" in english(made)
    assert made.fates["full"].lost == ["manuals"]
    assert "用原模型与微调模型的混合" in made.headline.zh


def test_the_base_is_kept_where_all_that_gains_loses_a_guard():
    made = choose(standing("full", 0.08, guard=-0.03))
    assert made.chosen == "base"
    assert "it can't take the base's place" in english(made)


def test_the_shipped_general_set_does_not_stand_against_what_serves_one_index_and_a_named_guard_does():
    loses = standing("adapter", 0.06, guard=-0.04)
    shipped = choose(loses, named=())
    assert shipped.chosen == "adapter"
    assert "The guard" not in english(shipped)
    assert "other indexes keep the base" in english(shipped)
    assert choose(loses, named=("manuals",)).chosen == "base"
    assert choose(standing("lora", 0.06, guard=-0.04), named=()).chosen == "base"


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name != "base"])
def test_every_system_can_be_recommended_in_both_languages(name):
    made = choose(standing(name, 0.06))
    assert made.chosen == name
    assert made.headline.en != made.headline.zh
    assert "{" not in english(made) + chinese(made)


def test_with_the_base_alone_it_is_kept():
    assert english(choose()) == "Keep the base model\nNothing else could be measured."


def test_p_is_corrected_for_the_number_of_systems():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}


def test_a_recommendation_is_read_as_it_was_written():
    made = choose(standing("hybrid", 0.05), standing("full", 0.08, guard=-0.03))
    assert Recommendation.from_json(made.to_json()).to_json() == made.to_json()


def test_a_budget_is_a_number_and_its_unit():
    assert [seconds_of(text) for text in ("90s", "30m", "1h", "1.5 h")] == [90, 1800, 3600, 5400]
    assert BakeoffOptions(budget="2m").budget_seconds == 120
    for wrong in ("30", "m", "0s", "-5m", "1d"):
        with pytest.raises(Exception, match="write it as 90s, 30m or 1h"):
            BakeoffOptions(budget=wrong)
