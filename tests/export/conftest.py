"""Small exports of the tiny model, each made once."""

from __future__ import annotations

import pytest
from tests.conftest import SAMPLE

from embedtune.data.dataset import RetrievalDataset
from embedtune.export.export_options import ProofOptions
from embedtune.export.exporters import EXPORTERS
from embedtune.export.exporting import export
from embedtune.models.encoder import EncoderOptions

QUICK = ProofOptions(split="all", rounds=1, speed_documents=2, speed_queries=2)
FLOAT32 = EncoderOptions(precision="float32")
NO_LIMITS = {"least_cosine": None, "most_lost": None, "least_speedup": None}


@pytest.fixture(scope="session")
def household():
    return RetrievalDataset.read(SAMPLE)


@pytest.fixture(scope="session")
def exported(tiny_model, household, tmp_path_factory):
    """A function: format → what the tiny model's export gave, without limits, made once."""
    made = {}

    def of(name):
        if name not in made:
            if name == "openvino":
                pytest.importorskip("openvino")
            folder = tmp_path_factory.mktemp("exported") / name
            options = EXPORTERS.load(name).OPTIONS(**NO_LIMITS)
            made[name] = export(
                str(tiny_model), household, folder, format_name=name, options=options, proof_options=QUICK
            )
        return made[name]

    return of
