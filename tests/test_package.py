from __future__ import annotations

import importlib
import subprocess
import sys

import embedtune


def test_every_public_name_loads():
    for name in embedtune.__all__:
        assert getattr(embedtune, name).__name__ == name
    assert sorted(embedtune.__all__) == embedtune.__all__


def test_verbs_stay_functions_after_their_packages_are_imported():
    importlib.import_module("embedtune.train.training")
    importlib.import_module("embedtune.evaluate.evaluation")
    from embedtune import evaluate, train

    assert callable(train)
    assert callable(evaluate)


def test_importing_costs_nothing():
    heavy = "torch transformers sentence_transformers faiss datasets numpy rich"
    program = f"import sys, embedtune; print([name for name in {heavy.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version_is_the_installed_one():
    from importlib.metadata import version

    assert embedtune.__version__ == version("embedtune")
