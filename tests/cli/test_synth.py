"""embedtune synth as a user meets it; the server is real, on loopback."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from tests.conftest import SAMPLE
from tests.language.chat_server import ChatServer, refusal
from tests.synthesize.author import author

from embedtune.data.dataset import RetrievalDataset

PRICES = ("--input-price", "1", "--output-price", "4")


def words_for(server, *more):
    return ("synth", SAMPLE, "--backend", "openai", "--base-url", server.url, "--model", "m", *more)


def test_a_dry_run_then_the_run_then_a_rerun(embedtune, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-shown")
    with ChatServer(author) as server:
        planned = embedtune(*words_for(server, "--dry-run", *PRICES))
        assert planned.returncode == 0, planned.stderr
        for line in ("documents      24 of 24", "calls          24", "input tokens", "output tokens", "cost"):
            assert line in planned.stdout
        assert server.calls == 0
        done = embedtune(*words_for(server, "--out", "made.json", *PRICES, "--json"))
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert report["calls"] == server.calls == 24
        made = RetrievalDataset.read(tmp_path / "made.json")
        assert len(made.queries) - 24 == report["queries"]
        again = embedtune(*words_for(server, "--out", "again.json", *PRICES))
        assert server.calls == 24
        assert "calls          0" in again.stdout
        assert (tmp_path / "again.json").read_bytes() == (tmp_path / "made.json").read_bytes()
        assert "(24 replies are stored already)" in embedtune(*words_for(server, "--dry-run")).stdout
    shown = planned.stdout + planned.stderr + done.stdout + done.stderr + again.stdout + again.stderr
    kept = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert not any("sk-never-shown" in text for text in [shown, *kept])


def test_the_budget_stops_cleanly_and_more_of_it_goes_on(embedtune, tmp_path):
    with ChatServer(author, lambda text: len(text) // 3) as server:
        limits = (*PRICES, "--max-tokens", "300", "--budget", "0.009", "--concurrency", "2")
        part = embedtune(*words_for(server, "--out", "part.json", "--json", *limits))
        assert part.returncode == 0, part.stderr
        report = json.loads(part.stdout)
        assert 0 < report["calls"] < 24
        assert report["cost"] <= 0.009
        assert report["replies"]["not asked"] == 24 - report["calls"]
        calls = server.calls
        rest = embedtune(*words_for(server, "--out", "all.json", "--json", *PRICES, "--max-tokens", "300"))
        assert json.loads(rest.stdout)["calls"] == server.calls - calls == 24 - calls


def test_with_an_encoder_documents_are_chosen_from_clusters_and_cut(embedtune, tiny_model):
    with ChatServer(author) as server:
        words = words_for(server, "--encoder", tiny_model, "--documents", "6", "--max-length", "40", "--dry-run")
        done = embedtune(*words)
        assert "documents      6 of 24, one from each of 6 clusters" in done.stdout
        assert "of them, at 38 tokens" in done.stdout
        assert "cut at the 38 tokens that the encoder reads" in done.stderr


def test_mistakes(embedtune, tmp_path):
    with ChatServer(lambda _, __: refusal(401, "bad key")) as server:
        for words, expected in (
            (("synth", SAMPLE, "--backend", "opnai", "--out", "x.json"), "did you mean 'openai'"),
            (("synth", SAMPLE, "--backend", "openai", "--out", "x.json"), "name one with --model"),
            (words_for(server), "no place for the result was named"),
            (words_for(server, "--out", "x.json"), "doesn't accept the key"),
            (words_for(server, "--out", "x.json", "--budget", "1"), "a budget needs prices"),
            (words_for(server, "--out", "x.json", "--like", "no.json"), "there is no file no.json"),
            (words_for(server, "--out", SAMPLE), "exists already"),
            (("synth", SAMPLE, "--backend", "openai", "--model", "m", "--base-url", "ftp://x", "--dry-run"), "http://"),
        ):
            done = embedtune(*words)
            assert done.returncode == 2, done.stdout
            assert expected in done.stderr
            assert "Traceback" not in done.stderr
            assert not (tmp_path / "x.json").exists()


def kill_often(tmp_path, kills, seed):
    """Kills the real process with SIGKILL at random moments until it ends by itself; returns what was seen."""

    def slow(request, number):
        time.sleep(0.02)
        return author(request, number)

    chance = random.Random(seed)
    with ChatServer(slow) as server:
        command = [sys.executable, "-m", "embedtune", *map(str, words_for(server, "--concurrency", "3"))]
        command += ["--per-document", "1", "--cache-dir", str(tmp_path / "cache"), "--overwrite", "--out"]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}

        def stored():
            return {path.name for path in (tmp_path / "cache").rglob("*.json") if not path.name.startswith(".")}

        killed, kept, counts = 0, set(), []
        corpus = len(RetrievalDataset.read(SAMPLE).corpus)
        while killed < kills:
            process = subprocess.Popen(
                [*command, "made.json"], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
            )
            if chance.random() < 0.7:  # most kills while requests are under way, the others at any moment
                wanted = server.calls + chance.randint(1, 3)
                while process.poll() is None and server.calls < wanted:
                    time.sleep(0.002)
                time.sleep(chance.uniform(0, 0.03))
            else:
                time.sleep(chance.uniform(0, 3))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed += 1
            process.wait()
            assert kept <= stored(), "a stored reply was lost"
            kept = stored()
            counts.append(len(kept))
            if len(kept) == corpus:  # all there: begin again, so that the remaining kills hit something
                for path in list((tmp_path / "cache").rglob("*.json")):
                    path.unlink()
                kept = set()
        before = len(kept)
        calls = server.calls
        subprocess.run([*command, "made.json"], cwd=tmp_path, env=environment, check=True, capture_output=True)
        asked = server.calls - calls
        undisturbed = [*command[: command.index("--cache-dir") + 1], str(tmp_path / "other"), "--overwrite", "--out"]
        subprocess.run([*undisturbed, "whole.json"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert asked == corpus - before, "only what wasn't stored is asked for"
    assert (tmp_path / "made.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    return killed, counts


def test_a_few_kills_lose_nothing(tmp_path):
    assert kill_often(tmp_path, kills=1, seed=1)[0] == 1


@pytest.mark.slow
def test_twenty_kills_at_random_moments_lose_nothing_and_end_the_same(tmp_path):
    killed, counts = kill_often(tmp_path, kills=20, seed=5)
    assert killed == 20
    assert len(set(counts)) > 5, "the kills came at different moments"
