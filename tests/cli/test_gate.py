"""merge and gate through the command line, on models that were really trained, in English and Chinese."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import SAMPLE, build_tiny_model

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.training_set import TrainingSet
from embedtune.models.encoder import EncoderOptions
from embedtune.train.training import TrainOptions, train

FLOAT32 = ("--precision", "float32")
LANGUAGES = ("en", "zh")


def part_of(language):
    """The sample's documents of one language and the queries about them, which are in every split."""
    sample = RetrievalDataset.read(SAMPLE)
    corpus = {name: text for name, text in sample.corpus.items() if name.startswith(f"{language}-")}
    asked = [name for name in sample.queries if set(sample.positives(name)) <= set(corpus)]
    return RetrievalDataset(
        queries={name: sample.queries[name] for name in asked},
        corpus=corpus,
        relevant_docs={name: list(sample.positives(name)) for name in asked},
        queries_split=dict.fromkeys(("train", "val", "test"), asked),
    )


def mistaken(dataset):
    """The dataset with every query given the document of the next."""
    names = list(dataset.queries)
    following = [*names[1:], names[0]]
    return replace(dataset, relevant_docs={a: dataset.relevant_docs[b] for a, b in zip(names, following, strict=True)})


def together(one, other):
    names = [*one.queries, *other.queries]
    return RetrievalDataset(
        queries={**one.queries, **other.queries},
        corpus={**one.corpus, **other.corpus},
        relevant_docs={**one.relevant_docs, **other.relevant_docs},
        queries_split=dict.fromkeys(("train", "val", "test"), names),
    )


@pytest.fixture(scope="module")
def workshop(tmp_path_factory) -> Path:
    """A base, a model that learnt both languages, and one that learnt English and unlearnt Chinese."""
    folder = tmp_path_factory.mktemp("workshop")
    base = build_tiny_model(folder / "base", seed=3)
    parts = {language: part_of(language) for language in LANGUAGES}
    options = TrainOptions(epochs=15, batch_size=8, learning_rate=2e-3, validations=3, val_split="train", scale=20)
    lessons = {
        "good": together(parts["en"], parts["zh"]),
        "en-only": together(parts["en"], mistaken(parts["zh"])),
    }
    for language, part in parts.items():
        part.write(folder / f"{language}.json")
    for name, lesson in lessons.items():
        train(
            TrainingSet.build(lesson, "train"),
            str(base),
            folder / name,
            options=options,
            encoder_options=EncoderOptions(precision="float32"),
        )
    return folder


@pytest.fixture
def gate(embedtune, workshop):
    def run(language, tuned, *words):
        other = LANGUAGES[1 - LANGUAGES.index(language)]
        guard = () if "--guard" in words else ("--guard", f"other={workshop / other}.json")
        given = ("--base", workshop / "base" / "model", "--tuned", workshop / tuned, *guard, *words, *FLOAT32)
        return embedtune("gate", workshop / f"{language}.json", *given)

    return run


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_model_that_gains_and_keeps_its_guard_passes(gate, language):
    done = gate(language, "good")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a gain" in done.stdout
    assert ": kept" in done.stdout
    assert done.stdout.endswith("passed\n")
    again = gate(language, "good", "--json")
    assert json.loads(again.stdout)["passed"] is True
    assert "encoded 0 texts" in again.stderr


def test_a_worse_model_is_refused(gate):
    """Chinese is what it should have learnt, and English its guard."""
    done = gate("zh", "en-only")
    assert done.returncode == 3, done.stdout
    assert ("a loss" in done.stdout) or ("no gain shown" in done.stdout)
    assert "refused" in done.stdout


def test_a_model_that_lost_its_guard_is_refused_with_the_reason(gate):
    """The same model, but English is what it should have learnt."""
    done = gate("en", "en-only", "--json")
    assert done.returncode == 3, done.stdout
    verdict = json.loads(done.stdout)
    assert verdict["gain"]["shown"]
    assert [reason.split(",")[0] for reason in verdict["reasons"]] == ["guard other"]
    assert gate("en", "en-only", "--max-guard-loss", "1").returncode == 0


def test_the_base_itself_is_no_gain(gate):
    done = gate("en", Path("base") / "model")
    assert done.returncode == 3
    assert "+0.00 points (95 % interval +0.00 … +0.00): no gain shown" in done.stdout
    assert "no query's score changed: kept" in done.stdout


def test_without_a_guard_the_general_set_is_watched_with_a_warning(embedtune, workshop):
    words = ("--base", workshop / "base" / "model", "--tuned", workshop / "good", *FLOAT32)
    done = embedtune("gate", workshop / "en.json", *words)
    assert "warning: no guard was given" in done.stderr
    assert "guard general-en, 176 queries" in done.stdout
    assert "general-zh" not in done.stdout


def test_bad_guards(gate, workshop, tmp_path):
    english = workshop / "en.json"
    fields = json.loads(english.read_text(encoding="utf-8"))
    (tmp_path / "silent.json").write_text(json.dumps({"queries": {}, "corpus": fields["corpus"], "relevant_docs": {}}))
    for words, said in (
        (("--guard", english), "expected NAME=DATASET"),
        (("--guard", f"a={english}", "--guard", f"a={english}"), "two guards are named 'a'"),
        (("--guard", "a=missing.json"), "the guard 'a' can't be read: there is no file missing.json"),
        (("--guard", "a=silent.json"), "the guard 'a' has 0 queries and none with a relevant document"),
        (("--split", "tset"), "did you mean 'test'?"),
        (("--measure", "ndcg"), "unknown measure"),
        (("--guard-test", "saef"), "did you mean 'safe'?"),
    ):
        done = gate("en", "good", *words)
        assert done.returncode == 2, done.stdout
        assert said in done.stderr
        assert done.stdout == ""


@pytest.fixture
def merge(embedtune, workshop):
    def run(*words, tuned="en-only"):
        given = ("--base", workshop / "base" / "model", "--tuned", workshop / tuned, "--out", "m", *words, *FLOAT32)
        return embedtune("merge", *given)

    return run


def test_select_takes_the_best_share_that_keeps_the_guard(merge, workshop, tmp_path, embedtune):
    words = (workshop / "en.json", "--select", "--guard", f"other={workshop / 'zh.json'}", "--grid", 0.1, "--grid", 1)
    done = merge(*words, "--max-guard-loss", 0.1, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout)
    assert record["weights"] == [0.1]
    tried = {c["weight"]: c["verdict"] for c in record["choice"]["candidates"]}
    assert [guard["kept"] for guard in tried[1.0]["guards"]] == [False]
    assert "1       " in done.stderr
    assert "loses other" in done.stderr
    scored = embedtune("eval", workshop / "en.json", "--encoder", "m", *FLOAT32)
    assert json.loads(scored.stdout)["ndcg_at_10"] == round(tried[0.1]["gain"]["tuned"], 5)
    assert "encoded 0 texts" in scored.stderr, "the same weights have the same vectors"


def test_select_refuses_where_nothing_keeps_the_guard(merge, workshop, tmp_path):
    words = (workshop / "en.json", "--select", "--guard", f"other={workshop / 'zh.json'}", "--grid", 1)
    done = merge(*words)
    assert done.returncode == 3
    assert "nothing was written, keep the base" in done.stdout
    assert not (tmp_path / "m").exists()


def test_merge_without_a_dataset(merge, workshop, tmp_path):
    done = merge("--tuned", workshop / "good", "--weight", 0.2, "--weight", 0.3)
    assert done.returncode == 0, done.stderr
    assert "0.5 of " in done.stdout
    assert json.loads((tmp_path / "m" / "embedtune.json").read_text(encoding="utf-8"))["made_from"]["weights"] == [
        0.2,
        0.3,
    ]
    for words, said in (
        (("--select", "--overwrite"), "none is given"),
        (("--weight", 2, "--overwrite"), "each from 0 to 1"),
        ((), "exists already"),
        ((workshop / "en.json", "--select", "--weight", 0.5, "--overwrite"), "and --weight gives it"),
        ((workshop / "en.json", "--select", "--grid", 0, "--overwrite"), "shares over 0"),
    ):
        failed = merge(*words)
        assert failed.returncode == 2
        assert said in failed.stderr
