from __future__ import annotations

import json

from tests.conftest import SAMPLE

from embedtune.models.tuned import TunedModel


def test_trains_with_the_methods_own_flags(embedtune, tiny_model, tmp_path):
    words = (
        "train",
        "--no-gate",
        SAMPLE,
        "--encoder",
        tiny_model,
        "--method=lora",
        "--out",
        "m",
        "--precision",
        "float32",
    )
    few = ("--epochs", 1, "--batch-size", 8, "--rank", 4, "--validations", 1, "--val-split", "val")
    done = embedtune(*words, *few, "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["method"] == "lora"
    assert record["options"]["rank"] == 4
    assert record["split"] == "train"
    assert TunedModel.open(tmp_path / "m").manifest["made_from"]["dataset_sha256"] == record["dataset_sha256"]
    evaluated = embedtune("eval", SAMPLE, "--encoder", "m", "--precision", "float32")
    assert json.loads(evaluated.stdout)["ndcg_at_10"] == round(record["chosen"]["score"], 5)
    said = embedtune(*words, *few, "--overwrite").stdout
    assert "ndcg_at_10 on the val split: base" in said


def test_each_method_has_its_own_help(embedtune):
    assert "--rank" in embedtune("train", "--method", "lora", "--help").stdout
    full = embedtune("train", "--help").stdout
    assert "--rank" not in full
    assert "lora Trains small additions" in " ".join(full.split())


def test_mistakes(embedtune, tiny_model, tmp_path, sample_fields):
    unknown = embedtune("train", SAMPLE, "--encoder", tiny_model, "--method", "loro", "--out", "m")
    assert unknown.returncode == 2
    assert "did you mean 'lora'?" in unknown.stderr
    sample_fields["queries_split"]["train"] = sample_fields["queries_split"]["train"][:1]
    (tmp_path / "one.json").write_text(json.dumps(sample_fields), encoding="utf-8")
    lonely = embedtune("train", "one.json", "--encoder", tiny_model, "--out", "m")
    assert lonely.returncode == 2
    assert "has 1 query with a relevant document" in lonely.stderr
    assert not (tmp_path / "m").exists()
