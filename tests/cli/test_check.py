from __future__ import annotations

import json

from tests.conftest import SAMPLE


def test_one_screen_and_exit_status(embedtune, tmp_path):
    done = embedtune("check", SAMPLE)
    assert done.returncode == 0, done.stderr
    assert "24 documents, 24 queries (train 12, val 4, test 8)" in done.stdout
    assert "0 errors, 1 warning, 1 note" in done.stdout
    assert len(done.stdout.splitlines()) < 40


def test_faulty_file_is_checked_fixed_and_left_alone(embedtune, tmp_path):
    fields = json.loads(SAMPLE.read_text(encoding="utf-8"))
    fields["relevant_docs"]["q03"] = ["en-bike", "nowhere"]
    fields["queries_split"]["train"].append("q04")
    faulty = tmp_path / "faulty.json"
    faulty.write_text(json.dumps(fields, ensure_ascii=False), encoding="utf-8")
    before = faulty.read_bytes()
    done = embedtune("check", "faulty.json", "--json")
    assert done.returncode == 1
    content = json.loads(done.stdout)
    assert content["levels"]["error"] == 2
    assert {f["code"] for f in content["findings"] if f["level"] == "error"} == {
        "unknown-documents",
        "query-in-two-splits",
    }
    fixed = embedtune("check", "faulty.json", "--fix", "clean.json")
    assert fixed.returncode == 0, fixed.stderr
    assert faulty.read_bytes() == before
    changes = json.loads((tmp_path / "clean.changes.json").read_text(encoding="utf-8"))
    assert {change["code"] for change in changes} == {"unknown-documents", "query-in-two-splits"}
    clean = json.loads((tmp_path / "clean.json").read_text(encoding="utf-8"))
    assert clean["relevant_docs"]["q03"] == ["en-bike"]
    assert "q04" not in clean["queries_split"]["train"]
    refused = embedtune("check", "faulty.json", "--fix", "faulty.json", "--overwrite")
    assert refused.returncode == 2
    assert "is the dataset itself" in refused.stderr
    assert faulty.read_bytes() == before


def test_an_unreadable_file_ends_with_2(embedtune, tmp_path):
    (tmp_path / "broken.json").write_text('{"queries": {', encoding="utf-8")
    done = embedtune("check", "broken.json")
    assert done.returncode == 2
    assert "line 1, column" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_an_encoder(embedtune, tiny_model):
    done = embedtune("check", SAMPLE, "--encoder", tiny_model, "--max-length", 20, "--json")
    assert done.returncode == 0, done.stderr
    found = {finding["code"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert len(found["documents-over-limit"]["ids"]) == 24
    assert "longer than the 20 tokens" in found["documents-over-limit"]["message"]
