"""Every index: save, close, reopen in a new process; one item; duplicates; order; ties; bad input."""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import numpy as np
import pytest

from embedtune.errors import EvaluationError, OptionsError, StorageError
from embedtune.models import tensor_file
from embedtune.search.index import build_index, load_index, recall_against_exact, save_index
from embedtune.search.indexes import INDEXES
from embedtune.search.vector_index import VectorIndex

NAMES = INDEXES.names()
SEARCHER = """
import json, sys
import numpy as np
from embedtune.search.index import load_index
queries = np.random.default_rng(1).standard_normal((9, 24)).astype(np.float32)
found = {folder: load_index(folder).search(queries, 7) for folder in sys.argv[1:]}
print(json.dumps(found))
"""


def random_vectors(rows, dim=24, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)


def ids_of(rows):
    return [f"文档{row}" for row in range(rows)]


def test_the_folder_lists_what_is_promised():
    assert {"exact", "faiss-hnsw", "faiss-ivf"} <= set(NAMES)
    with pytest.raises(OptionsError, match="unknown index 'faiss-hsnw'; did you mean 'faiss-hnsw'"):
        build_index("faiss-hsnw", random_vectors(3), ids_of(3))


def test_every_index_reopens_in_a_new_process(tmp_path):
    queries, expected = random_vectors(9, seed=1), {}
    for name in NAMES:
        index = build_index(name, random_vectors(600), ids_of(600))
        save_index(index, name, tmp_path / name)
        expected[str(tmp_path / name)] = json.loads(json.dumps(index.search(queries, 7)))
    command = [sys.executable, "-c", SEARCHER, *expected]
    done = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    assert json.loads(done.stdout) == expected


@pytest.mark.parametrize("name", NAMES)
class TestEveryIndex:
    def test_finds_what_exact_search_finds(self, name):
        vectors, queries = random_vectors(900), random_vectors(40, seed=1)
        index = build_index(name, vectors, ids_of(900))
        recall = recall_against_exact(index, vectors, queries, 10, sample=20, seed=0)
        assert recall == 1 if index.exact else recall > 0.6
        exact = VectorIndex(vectors, ids_of(900)).search(queries, 10)
        for ours, theirs in zip(index.search(queries, 10), exact, strict=True):
            score_of = dict(theirs)
            assert all(score_of.get(document, score) == score for document, score in ours)
            assert ours == sorted(ours, key=lambda document: -document.score)

    def test_one_document_and_more_asked_than_there_are(self, name):
        index = build_index(name, random_vectors(1), ["only"])
        ((document,),) = index.search(random_vectors(1, seed=1), 5)
        assert document.document_id == "only"
        assert build_index(name, random_vectors(4), ids_of(4)).search_rows(random_vectors(2), 9).rows.shape == (2, 4)

    def test_copies_are_all_found_later_ids_first(self, name):
        vectors = np.repeat(random_vectors(1), 6, axis=0)
        (found,) = build_index(name, vectors, list("caebfd")).search(vectors[:1], 6)
        assert [document.document_id for document in found] == list("fedcba")
        assert len({document.score for document in found}) == 1

    def test_rows_are_the_documents(self, name):
        index = build_index(name, random_vectors(50), ids_of(50))
        found = index.search_rows(random_vectors(3, seed=1), 5)
        lists = index.search(random_vectors(3, seed=1), 5)
        assert [[ids_of(50)[row] for row in rows] for rows in found.rows] == [[d for d, _ in row] for row in lists]
        assert (found.rows.dtype, found.scores.dtype) == (np.int64, np.float32)

    def test_no_documents_no_queries_and_wrong_dimensions(self, name):
        with pytest.raises(EvaluationError, match="no documents to search"):
            build_index(name, random_vectors(0), [])
        index = build_index(name, random_vectors(5), ids_of(5))
        assert index.search(random_vectors(0), 3) == []
        with pytest.raises(EvaluationError, match="query vectors have 7 dimensions, documents 24"):
            index.search(random_vectors(2, dim=7), 3)

    def test_vectors_that_are_not_finite_are_named(self, name):
        vectors = random_vectors(5)
        vectors[3, 2] = np.nan
        with pytest.raises(EvaluationError, match="1 documents aren't finite, such as 文档3"):
            build_index(name, vectors, ids_of(5))
        queries = random_vectors(2)
        queries[1, 0] = np.inf
        with pytest.raises(EvaluationError, match="query vectors aren't finite, the first in row 1"):
            build_index(name, random_vectors(5), ids_of(5)).search(queries, 3)

    def test_damaged_folders_are_refused(self, name, tmp_path):
        folder = tmp_path / "index"
        save_index(build_index(name, random_vectors(40), ids_of(40)), name, folder)
        with pytest.raises(StorageError, match="exists already"):
            save_index(build_index(name, random_vectors(40), ids_of(40)), name, folder)
        for file in sorted(folder.iterdir()):
            intact = file.read_bytes()
            changed = bytearray(intact)
            changed[len(changed) // 2] ^= 0x10
            if file.name == "embedtune.json":
                changed = changed[:10]
            for content in (bytes(changed), intact[: len(intact) // 2]):
                file.write_bytes(content)
                with pytest.raises(StorageError):
                    load_index(folder)
            file.write_bytes(intact)
        assert len(load_index(folder).search(random_vectors(1), 3)[0]) == 3

    def test_threads_stay_as_they_were(self, name):
        import faiss
        import torch

        before = torch.get_num_threads(), faiss.omp_get_max_threads()
        build_index(name, random_vectors(300), ids_of(300)).search(random_vectors(200, seed=1), 5)
        assert (torch.get_num_threads(), faiss.omp_get_max_threads()) == before


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    index = build_index("exact", random_vectors(10), ids_of(10))
    monkeypatch.setattr(tensor_file.np, "ascontiguousarray", full)
    with pytest.raises(StorageError, match="no space left"):
        save_index(index, "exact", tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_exact_index_is_a_memory_map(tmp_path):
    save_index(build_index("exact", random_vectors(100).astype(np.float16), ids_of(100)), "exact", tmp_path / "index")
    index = load_index(tmp_path / "index")
    assert not index.vectors.flags.writeable
    assert index.vectors.dtype == np.float16
    assert (tmp_path / "index" / "vectors.safetensors").stat().st_size < 100 * 24 * 2 + 200
