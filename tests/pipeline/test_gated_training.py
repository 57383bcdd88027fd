"""What `embedtune train` lets out: the tuned model, a mixture or the base, through the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.test_gate import mistaken, part_of, together
from tests.conftest import build_tiny_model

from embedtune.data.dataset import RetrievalDataset
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.fingerprint import model_fingerprint
from embedtune.models.sentence_transformer import load_model

FLOAT32 = ("--precision", "float32")
LESSON = ("--epochs", 15, "--batch-size", 8, "--learning-rate", 2e-3, "--validations", 3, "--scale", 20)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("base"), seed=3)


@pytest.fixture
def train(embedtune, base, tmp_path):
    """Trains on English, or with `forgets` also on wrong answers in Chinese; the other language is the guard."""

    def run(*words, forgets=False, method=LESSON):
        english, chinese = part_of("en"), part_of("zh")
        lesson = together(english, mistaken(chinese)) if forgets else together(english, chinese)
        judged = RetrievalDataset(
            queries=lesson.queries,
            corpus=lesson.corpus,
            relevant_docs=lesson.relevant_docs,
            queries_split={"train": list(lesson.queries), "val": list(english.queries), "test": list(english.queries)},
        )
        judged.write(tmp_path / "lesson.json")
        chinese.write(tmp_path / "zh.json")
        given = ("--encoder", base, "--out", "m", "--guard", "zh=zh.json", *method, *words, *FLOAT32)
        return embedtune("train", "lesson.json", *given)

    return run


def made_from(folder):
    return json.loads((Path(folder) / "embedtune.json").read_text(encoding="utf-8"))["made_from"]


def fingerprint(folder):
    return model_fingerprint(load_model(str(folder), EncoderOptions()))


@pytest.mark.slow
def test_a_good_tuned_model_comes_out_alone(train, tmp_path):
    done = train("--no-merge", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout)
    assert record["came_out"] == "tuned"
    assert record["why"][0] == "the tuned model came out as it is"
    assert record == made_from(tmp_path / "m") | {"seconds": record["seconds"]}
    assert [candidate["weight"] for candidate in record["choice"]["candidates"]] == [1.0]
    assert (tmp_path / "m" / "training.jsonl").is_file()
    assert not (tmp_path / "m-tuned").exists()
    assert not list(tmp_path.glob(".m*"))
    assert "11 of the 11 queries of the guard 'zh' are trained on" in done.stderr


def test_a_mixture_comes_out_where_the_tuned_model_loses_the_guard(train, tmp_path, base):
    done = train("--max-guard-loss", 0.12, "--grid", 0.1, "--grid", 0.2, "--grid", 1, forgets=True)
    assert done.returncode == 0, done.stdout + done.stderr
    record = made_from(tmp_path / "m")
    assert record["came_out"] == "merged"
    assert record["method"] == "full"
    assert "alone it doesn't pass (guard zh" in done.stdout
    assert "loses zh" in done.stderr
    share = record["weight"]
    assert share in (0.1, 0.2)
    tried = {candidate["weight"]: candidate["verdict"] for candidate in record["choice"]["candidates"]}
    assert tried[share]["passed"]
    assert not tried[1.0]["passed"]
    weights = [load_model(str(folder), EncoderOptions()).state_dict() for folder in (base, tmp_path / "m-tuned")]
    mixed = load_model(str(tmp_path / "m"), EncoderOptions()).state_dict()
    name = next(iter(mixed))
    by_hand = (1 - share) * weights[0][name].double() + share * weights[1][name].double()
    assert mixed[name].equal(by_hand.float())


def test_the_base_comes_out_where_nothing_passes_and_the_tuned_model_is_kept(train, tmp_path, base):
    done = train("--grid", 1, forgets=True)
    assert done.returncode == 0
    assert made_from(tmp_path / "m")["came_out"] == "base"
    assert fingerprint(tmp_path / "m") == fingerprint(base)
    assert fingerprint(tmp_path / "m-tuned") != fingerprint(base)
    assert "no share of the tuned model passes the gate" in done.stdout
    assert "guard zh" in done.stdout
    again = train("--grid", 1, "--max-guard-loss", 1, "--overwrite", forgets=True)
    assert "was trained before by the same command, reused" in again.stderr
    assert made_from(tmp_path / "m")["came_out"] == "tuned"
    assert not (tmp_path / "m-tuned").exists()


@pytest.mark.slow
def test_nothing_better_on_val_is_the_base(train, tmp_path, base):
    done = train("--learning-rate", 1e-12)
    assert done.returncode == 0, done.stderr
    assert "nothing was better on val than the base model" in done.stdout
    assert made_from(tmp_path / "m")["came_out"] == "base"
    assert fingerprint(tmp_path / "m") == fingerprint(base)
    assert not (tmp_path / "m-tuned").exists()


@pytest.mark.slow
def test_without_the_gate_the_tuned_model_comes_out_whatever_it_lost(train, tmp_path):
    done = train("--no-gate", forgets=True)
    assert done.returncode == 0, done.stderr
    assert "came_out" not in made_from(tmp_path / "m")
    assert not (tmp_path / "m-tuned").exists()
    assert "guard" not in done.stdout


def test_an_adapter_is_judged_through_its_map_and_nothing_is_encoded_for_it(train, tmp_path):
    method = ("--method", "adapter", "--epochs", 30, "--batch-size", 8, "--learning-rate", 0.02)
    done = train("--max-guard-loss", 1, "--json", method=method)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["came_out"] in ("tuned", "merged")
    assert len(record["choice"]["candidates"]) == 5
    assert "encode documents" not in done.stderr
    assert load_encoder(tmp_path / "m").query_map is not None


def test_nudge_leaves_its_guards_alone(train, tmp_path):
    method = ("--method", "nudge", "--val-measure", "ndcg_at_10")
    done = train("--json", method=method)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    verdict = record["choice"]["candidates"][0]["verdict"]
    assert [candidate["weight"] for candidate in record["choice"]["candidates"]] == [1.0]
    assert record["came_out"] == "tuned"
    assert verdict["guards"][0]["queries"] == len(part_of("zh").queries)


def test_mistakes_before_anything_is_trained(train, tmp_path):
    for words, said in (
        (("--guard", "zh=zh.json"), "two guards are named 'zh'"),
        (("--grid", 3), "shares over 0"),
        (("--measure", "ndcg"), "unknown measure"),
        (("--replay", "missing.json"), "there is no file missing.json"),
    ):
        done = train(*words)
        assert done.returncode == 2, done.stdout
        assert said in done.stderr
        assert not (tmp_path / "m-tuned").exists()


def test_a_given_guard_is_held_while_it_trains(embedtune, base):
    english, chinese = part_of("en"), part_of("zh")
    english.write(Path("en.json"))
    names = list(chinese.queries)
    replace(chinese, queries_split={"train": names[:3], "val": names[3:]}).write(Path("zh.json"))

    def train(*words):
        given = ("--encoder", base, "--out", "m", "--overwrite", "--guard", "zh=zh.json", "--no-merge", *FLOAT32)
        done = embedtune("train", "en.json", *given, *words)
        assert done.returncode == 0, done.stderr
        return done

    said = f"{len(chinese.corpus)} documents and 3 train queries of the guards keep the base model's vectors"
    held = train("--epochs", 1, "--json")
    assert said in held.stderr
    assert json.loads(held.stdout)["guard_share"] == 0.3
    assert said not in train("--method", "adapter").stderr, "it leaves weights alone"
