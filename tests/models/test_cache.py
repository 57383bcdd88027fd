"""The cache is right after everything that can happen to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from embedtune.errors import EncoderError, OptionsError
from embedtune.models.cache import _TEXTS_PER_STEP, EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.sentence_transformer import SentenceTransformerEncoder

WRITER = """
import sys
from embedtune.models import cache as cache_module
from embedtune.models.encoder import EncoderOptions, load_encoder
cache_module._SECONDS_PER_SEGMENT = 0.0
model, folder, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
encoder = load_encoder(model, EncoderOptions(precision="float32"))
cache = cache_module.EmbeddingCache(folder)
print("ready", flush=True)
cache.encode(encoder, [f"text number {i}" for i in range(first, last)], "document")
print(cache.encoded)
"""


@pytest.fixture
def texts(sample):
    return [*sample.corpus.values(), *sample.queries.values()]


def segments(folder):
    return sorted(folder.rglob("*.safetensors"))


def encoded_again(folder, encoder, texts, kind="document"):
    """Returns how many texts a freshly opened cache has to encode; checks the vectors."""
    cache = EmbeddingCache(folder)
    np.testing.assert_allclose(cache.encode(encoder, texts, kind), encoder.encode(texts, kind), atol=2e-6)
    return cache.encoded


def test_second_time_encodes_nothing(tmp_path, tiny_encoder, texts):
    first = EmbeddingCache(tmp_path).encode(tiny_encoder, texts, "document")
    cache = EmbeddingCache(tmp_path)
    np.testing.assert_array_equal(cache.encode(tiny_encoder, texts, "document"), first)
    assert cache.encoded == 0


def test_only_new_texts_are_encoded(tmp_path, tiny_encoder):
    documents = [f"document number {i}" for i in range(300)]
    EmbeddingCache(tmp_path).encode(tiny_encoder, documents, "document")
    assert encoded_again(tmp_path, tiny_encoder, ["new one", *documents, "new two", "new three"]) == 3


def test_order_duplicates_and_empty(tmp_path, tiny_encoder):
    cache = EmbeddingCache(tmp_path)
    vectors = cache.encode(tiny_encoder, ["b", "a", "b", "c", "a"], "query")
    assert cache.encoded == 3
    np.testing.assert_array_equal(vectors[0], vectors[2])
    np.testing.assert_array_equal(vectors[1], vectors[4])
    np.testing.assert_allclose(vectors, tiny_encoder.encode(["b", "a", "b", "c", "a"], "query"), atol=2e-6)
    assert cache.encode(tiny_encoder, [], "query").shape == (0, 32)


def test_without_a_folder_nothing_is_kept(tiny_encoder):
    cache = EmbeddingCache(None)
    cache.encode(tiny_encoder, ["a"], "query")
    cache.encode(tiny_encoder, ["a"], "query")
    assert cache.encoded == 2


def test_vectors_survive_a_new_process(tmp_path, tiny_model):
    command = [sys.executable, "-c", WRITER, str(tiny_model), str(tmp_path), "0", "40"]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert first.stdout.split() == ["ready", "40"]
    assert again.stdout.split() == ["ready", "0"]


class TestNeverStale:
    """The case study's cache knows a model by its name and a document by its id; ours by what they are."""

    @pytest.fixture(autouse=True)
    def fill(self, tmp_path, tiny_encoder, texts):
        self.folder = tmp_path
        self.texts = texts
        EmbeddingCache(tmp_path).encode(tiny_encoder, texts, "query")

    def test_same_name_other_weights(self, tiny_model):
        model = SentenceTransformer(str(tiny_model), device="cpu")
        with torch.no_grad():
            list(model.parameters())[-1][0] += 1e-3
        encoder = SentenceTransformerEncoder(model, EncoderOptions(precision="float32"))
        assert encoded_again(self.folder, encoder, self.texts, "query") == len(self.texts)

    @pytest.mark.parametrize(
        "changed",
        [
            {"query_instruction": "为这个句子生成表示以用于检索相关文章："},
            {"max_length": 16},
            {"precision": "bfloat16"},
        ],
    )
    def test_other_prompt_length_or_precision(self, tiny_model, changed):
        encoder = load_encoder(tiny_model, EncoderOptions(**{"precision": "float32"} | changed))
        cache = EmbeddingCache(self.folder)
        cache.encode(encoder, self.texts, "query")
        assert cache.encoded == len(self.texts)

    def test_one_character_of_text(self, tiny_encoder):
        texts = [self.texts[0] + ".", *self.texts[1:]]
        assert encoded_again(self.folder, tiny_encoder, texts, "query") == 1

    def test_documents_are_not_queries(self, tiny_encoder):
        assert encoded_again(self.folder, tiny_encoder, self.texts, "document") == len(self.texts)

    def test_tokens_per_batch_changes_nothing(self, tiny_model):
        encoder = load_encoder(tiny_model, EncoderOptions(precision="float32", tokens_per_batch=100))
        assert encoded_again(self.folder, encoder, self.texts, "query") == 0


class TestDamage:
    @pytest.fixture(autouse=True)
    def fill(self, tmp_path, tiny_encoder, texts):
        self.folder = tmp_path
        self.texts = texts
        EmbeddingCache(tmp_path).encode(tiny_encoder, texts, "document")
        (self.segment,) = segments(tmp_path)

    def flip(self, offset):
        content = bytearray(self.segment.read_bytes())
        content[offset] ^= 0x10
        self.segment.write_bytes(content)

    def test_a_flipped_byte_anywhere_is_noticed(self, tiny_encoder):
        size = self.segment.stat().st_size
        intact = self.segment.read_bytes()
        for offset in [*range(0, 400, 13), *range(400, size, size // 25)]:
            self.flip(offset)
            encoded_again(self.folder, tiny_encoder, self.texts)
            for segment in segments(self.folder):
                segment.unlink()
            self.segment.write_bytes(intact)

    def test_one_damaged_vector_is_encoded_again_and_then_kept(self, tiny_encoder):
        self.flip(self.segment.stat().st_size - 5)
        assert encoded_again(self.folder, tiny_encoder, self.texts) == 1
        assert encoded_again(self.folder, tiny_encoder, self.texts) == 0

    def test_cut_off_file(self, tiny_encoder):
        self.segment.write_bytes(self.segment.read_bytes()[:-100])
        assert encoded_again(self.folder, tiny_encoder, self.texts) == len(self.texts)
        assert encoded_again(self.folder, tiny_encoder, self.texts) == 0

    def test_half_written_segments_are_never_read(self, tiny_encoder):
        (self.segment.parent / ".123.tmp").write_bytes(b"half")
        assert encoded_again(self.folder, tiny_encoder, self.texts) == 0


def test_a_kill_in_the_middle_loses_only_what_was_in_flight(tmp_path, tiny_model, tiny_encoder):
    command = [sys.executable, "-c", WRITER, str(tiny_model), str(tmp_path), "0", "6000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    deadline = time.monotonic() + 60
    while len(segments(tmp_path)) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    kept = len(segments(tmp_path)) * _TEXTS_PER_STEP
    texts = [f"text number {i}" for i in range(6000)]
    cache = EmbeddingCache(tmp_path)
    vectors = cache.encode(tiny_encoder, texts, "document")
    assert cache.encoded == 6000 - kept
    np.testing.assert_allclose(vectors[::97], tiny_encoder.encode(texts[::97], "document"), atol=2e-6)


def test_two_processes_share_a_cache(tmp_path, tiny_model, tiny_encoder):
    ranges = [("0", "600"), ("300", "900")]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tiny_model), str(tmp_path), *ends], stdout=subprocess.PIPE, text=True
        )
        for ends in ranges
    ]
    for process in running:
        process.communicate()
        assert process.returncode == 0
    assert encoded_again(tmp_path, tiny_encoder, [f"text number {i}" for i in range(900)]) == 0


def test_interrupted_work_is_kept(tmp_path, tiny_encoder, monkeypatch):
    calls = []
    encode = tiny_encoder.encode

    def stop_at_the_third_call(texts, kind):
        calls.append(len(texts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(texts, kind)

    monkeypatch.setattr(tiny_encoder, "encode", stop_at_the_third_call)
    texts = [f"text number {i}" for i in range(3 * _TEXTS_PER_STEP)]
    with pytest.raises(KeyboardInterrupt):
        EmbeddingCache(tmp_path).encode(tiny_encoder, texts, "document")
    monkeypatch.undo()
    assert encoded_again(tmp_path, tiny_encoder, texts) == _TEXTS_PER_STEP


class TestFloat16:
    def test_first_and_later_calls_are_identical_and_the_key_differs(self, tmp_path, tiny_encoder, texts):
        EmbeddingCache(tmp_path).encode(tiny_encoder, texts, "document")
        cache = EmbeddingCache(tmp_path, "float16")
        first = cache.encode(tiny_encoder, texts, "document")
        again = EmbeddingCache(tmp_path, "float16")
        np.testing.assert_array_equal(again.encode(tiny_encoder, texts, "document"), first)
        assert (cache.encoded, again.encoded) == (len(texts), 0)
        np.testing.assert_allclose(first, tiny_encoder.encode(texts, "document"), atol=3e-4)
        assert first.dtype == np.float32

    def test_size_on_disk(self, tmp_path, tiny_encoder):
        documents = [f"document number {i}" for i in range(2000)]
        sizes = {}
        for precision in ("float32", "float16"):
            EmbeddingCache(tmp_path / precision, precision).encode(tiny_encoder, documents, "document")
            sizes[precision] = sum(file.stat().st_size for file in segments(tmp_path / precision))
        keys_and_checksums = 2000 * 24
        assert sizes["float32"] - keys_and_checksums < 2000 * 32 * 4 + 1000
        assert sizes["float16"] - keys_and_checksums < 2000 * 32 * 2 + 1000

    def test_what_float16_cannot_hold_is_refused(self, tmp_path, tiny_encoder, monkeypatch):
        monkeypatch.setattr(tiny_encoder, "encode", lambda texts, kind: np.full((len(texts), 32), 1e5, np.float32))
        with pytest.raises(EncoderError, match="more than float16 can"):
            EmbeddingCache(tmp_path, "float16").encode(tiny_encoder, ["a"], "query")

    def test_unknown_precision(self):
        with pytest.raises(OptionsError, match=r"unknown cache precision 'float61'; did you mean 'float16'\?"):
            EmbeddingCache(None, "float61")


def test_few_rows_of_a_large_segment_are_checked_row_by_row(tmp_path, tiny_encoder):
    documents = [f"document number {i}" for i in range(400)]
    EmbeddingCache(tmp_path).encode(tiny_encoder, documents, "document")
    for segment in segments(tmp_path):
        content = bytearray(segment.read_bytes())
        content[-9] ^= 1
        segment.write_bytes(content)
    damaged = sum(encoded_again(tmp_path, tiny_encoder, [document]) for document in documents)
    assert damaged == 1
