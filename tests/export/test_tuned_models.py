"""Maps of queries, moved documents and prompts survive every format that can keep them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tests.export.conftest import FLOAT32, NO_LIMITS, QUICK

from embedtune.errors import EncoderError
from embedtune.export.exporters import EXPORTERS
from embedtune.export.exporting import export
from embedtune.models.encoder import load_encoder
from embedtune.models.moved_documents import write_document_vectors
from embedtune.models.tuned_encoder import moved_documents_of
from embedtune.models.vector_map import VectorMap

TEXTS = ["水壶里有水垢怎么办", "green tea"]
PROMPT = "为这个句子生成表示以用于检索相关文章："


@pytest.fixture(scope="module")
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
    moved = np.arange(len(vectors)) < 2
    write_document_vectors(folder, household.corpus, vectors, moved)
    return folder


def exported_as(name, source, household, folder):
    options = EXPORTERS.load(name).OPTIONS(**NO_LIMITS)
    return export(str(source), household, folder, format_name=name, options=options, proof_options=QUICK)


@pytest.mark.parametrize("name", ["onnx", "bf16", "openvino"])
def test_map_prompt_and_moved_documents_are_kept(tuned, household, tmp_path, name):
    if name == "openvino":
        pytest.importorskip("openvino")
    exported_as(name, tuned, household, tmp_path / "out")
    ours, exact = load_encoder(tmp_path / "out", FLOAT32), load_encoder(tuned, FLOAT32)
    assert ours.prompt("query") == PROMPT
    near = 1e-5 if name == "onnx" else 1e-2
    for kind in ("query", "document"):
        np.testing.assert_allclose(ours.encode(TEXTS, kind), exact.encode(TEXTS, kind), atol=near)
    assert np.abs(ours.encode(TEXTS, "query") - ours.encode(TEXTS, "document")).max() > 0.1
    assert moved_documents_of(ours).fingerprint == moved_documents_of(exact).fingerprint


def test_static_refuses_what_it_would_leave_behind(tuned, household, tmp_path):
    with pytest.raises(EncoderError, match="has a map of queries"):
        exported_as("static", tuned, household, tmp_path / "out")
    assert not (tmp_path / "out").exists()
