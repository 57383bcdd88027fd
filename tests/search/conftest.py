"""What the tests of every store share."""

from __future__ import annotations

import pytest
from tests.search.store_places import HERE

from embedtune.data.dataset import RetrievalDataset
from embedtune.search.stores import STORES

ODD = ["文档一", "it's", 'a "quote"', "back\\slash", "换行\n行", "emoji😀", "a b", "x" * 300]
COPIES = ["2", "10", "1"]


@pytest.fixture
def small(sample):
    """The sample's first documents, some under odd ids, and one text three times."""
    texts = list(sample.corpus.values())
    corpus = dict(zip(ODD, texts, strict=False)) | dict.fromkeys(COPIES, texts[-1])
    queries = {"q1": texts[0], "问题": texts[3], "copies": texts[-1]}
    judged = {"q1": [ODD[0]], "问题": [ODD[3]], "copies": COPIES[:1]}
    return RetrievalDataset(queries, corpus, judged, queries_split={"val": list(queries)})


@pytest.fixture(params=STORES.names())
def store(request):
    if request.param not in HERE:
        pytest.skip(f"needs embedtune[{request.param}]")
    return request.param
