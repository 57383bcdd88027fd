from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from embedtune.search.merging import merge_found
from embedtune.search.vector_index import FoundRows, VectorIndex


@pytest.mark.parametrize("top_k", [1, 10, 55, 400])
def test_parts_of_any_size_give_what_the_whole_gives(top_k):
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((300, 16)).astype(np.float32)
    vectors[generator.integers(0, 300, 90)] = vectors[7]  # copies in every part, whose order is that of their ids
    ids = [f"文档{number}" for number in generator.permutation(300)]
    queries = np.concatenate([vectors[:5], generator.standard_normal((7, 16)).astype(np.float32)])
    whole = VectorIndex(vectors, ids).search_rows(queries, top_k)
    bounds = [0, 1, 4, 90, 91, 300]
    parts = []
    for start, end in pairwise(bounds):
        found = VectorIndex(vectors[start:end], ids[start:end]).search_rows(queries, top_k)
        parts.append(FoundRows(found.rows + start, found.scores))
    order = generator.permutation(len(parts))
    at_once = merge_found([parts[i] for i in order], ids, top_k)
    one_by_one = parts[order[0]]
    for i in order[1:]:
        one_by_one = merge_found([one_by_one, parts[i]], dict(enumerate(ids)), top_k)
    for merged in (at_once, one_by_one):
        assert (merged.rows == whole.rows).all()
        assert (merged.scores == whole.scores).all()


def test_nothing_found_and_no_queries():
    nothing = FoundRows(np.empty((2, 0), dtype=np.int64), np.empty((2, 0), dtype=np.float32))
    assert merge_found([nothing, nothing], [], 3).rows.shape == (2, 0)
    none = FoundRows(np.empty((0, 4), dtype=np.int64), np.empty((0, 4), dtype=np.float32))
    assert merge_found([none, none], [], 3).rows.shape[0] == 0
