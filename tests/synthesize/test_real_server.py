"""A real open-source server of the protocol: `transformers serve` with a random model, whose replies are nonsense."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.conftest import SAMPLE

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def build_chat_model(folder: Path) -> Path:
    """Writes a random two-layer Llama with a byte-level tokenizer trained on the sample."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train([str(SAMPLE)], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")  # noqa: S106
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=8192,
        eos_token_id=fast.eos_token_id,
        bos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory):
    return build_chat_model(tmp_path_factory.mktemp("chat") / "tiny-chat")


@pytest.fixture(scope="module")
def server(chat_model, tmp_path_factory):
    pytest.importorskip("uvicorn", reason="transformers serve needs transformers[serving]")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    log = tmp_path_factory.mktemp("log") / "server.log"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    with log.open("wb") as output:
        words = [program, "serve", str(chat_model), "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen([str(word) for word in words], stdout=output, stderr=output, env=environment)
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(url, process, log):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(log.read_text(errors="replace")[-3000:])


@pytest.mark.slow
def test_nonsense_from_a_real_server_is_rejected_and_reported(server, chat_model, embedtune_process, tmp_path):
    words = ("synth", SAMPLE, "--backend", "openai", "--base-url", server, "--model", chat_model, "--documents", "6")
    words += ("--max-tokens", "40", "--concurrency", "2", "--cache-dir", "c", "--out", "made.json")
    done = embedtune_process(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "not one usable query came back (6 answered, 6 rejected" in done.stderr
    assert "rejected 6" in done.stderr.replace("rejected 6:", "rejected 6")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "made.json").exists()
    stored = [json.loads(path.read_text()) for path in (tmp_path / "c" / "replies").rglob("*.json")]
    assert len(stored) == 12, "a reply and a repair for each document"
    assert all(
        reply["completion"]["output_tokens"] > 0 and reply["completion"]["input_tokens"] > 100 for reply in stored
    )
    again = embedtune_process(*words)
    assert again.returncode == 2
    assert "(6 stored, 6 rejected" in again.stderr
