"""Small exports, each made once. A graph takes seconds to trace, so the fast tests share one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tests.conftest import SAMPLE

from embedtune.data.dataset import RetrievalDataset
from embedtune.export.export_options import ProofOptions
from embedtune.export.exporters import EXPORTERS
from embedtune.export.exporting import export
from embedtune.models.encoder import EncoderOptions
from embedtune.models.moved_documents import write_document_vectors
from embedtune.models.vector_map import VectorMap

QUICK = ProofOptions(split="all", rounds=1, speed_documents=2, speed_queries=2)
FLOAT32 = EncoderOptions(precision="float32")
NO_LIMITS = {"least_cosine": None, "most_lost": None, "least_speedup": None}
PROMPT = "为这个句子生成表示以用于检索相关文章："
A_SECOND_GRAPH = ("onnx-int8", "openvino")


@pytest.fixture(scope="session")
def household():
    return RetrievalDataset.read(SAMPLE)


@pytest.fixture(scope="session")
def tuned(tiny_model, household, tmp_path_factory):
    """A model with a prompt, a map of queries with a hidden layer, and two moved documents."""
    folder = tmp_path_factory.mktemp("tuned") / "model"
    model = SentenceTransformer(str(tiny_model), device="cpu")
    model.prompts["query"] = PROMPT
    generator = torch.Generator().manual_seed(1)
    inner, outer = torch.randn(8, 32, generator=generator), torch.randn(32, 8, generator=generator)
    VectorMap.hidden(inner, torch.zeros(8), outer / 4).attach(model)
    model.save_pretrained(str(folder), create_model_card=False)
    vectors = np.eye(len(household.corpus), 32, dtype=np.float32)
    vectors[vectors.sum(axis=1) == 0, 0] = 1
    write_document_vectors(folder, household.corpus, vectors, np.arange(len(vectors)) < 2)
    return folder


@pytest.fixture(scope="session")
def source_of(tiny_model, tuned):
    """A function: format → the model that is exported; static can't keep a map of queries."""
    return lambda name: tiny_model if name == "static" else tuned


@pytest.fixture(scope="session")
def exported(source_of, household, tmp_path_factory):
    """A function: format → what its export gave, without limits."""
    made = {}

    def of(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("exported") / name
            options = EXPORTERS.load(name).OPTIONS(**NO_LIMITS)
            words = {"format_name": name, "options": options, "proof_options": QUICK}
            made[name] = export(str(source_of(name)), household, folder, **words)
        return made[name]

    return of


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.slow) if name in A_SECOND_GRAPH else name for name in EXPORTERS.names()
    ]
)
def name(request):
    """Every format in turn."""
    if request.param == "openvino":
        pytest.importorskip("openvino")
    return request.param
