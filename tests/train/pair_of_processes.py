"""What test_together.py runs in two processes, and in one to compare with: python -m ... MODEL OUT."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from tests.conftest import SAMPLE

from embedtune import processes
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.training_set import ReplayedTexts, TrainingSet
from embedtune.errors import EmbedtuneError, OptionsError
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.sentence_transformer import load_model
from embedtune.models.trainable import PaddedTraining, make_forward
from embedtune.train.batches import plan_batches
from embedtune.train.gradient_cache import GradientCache
from embedtune.train.guide import Guide
from embedtune.train.kept_vectors import KeptVectors
from embedtune.train.loss_data import examples_for
from embedtune.train.losses import LOSSES
from embedtune.train.step import TrainingStep
from embedtune.train.together import join, leave, on_writer, same_everywhere
from embedtune.train.training import TrainOptions, train

CPU = torch.device("cpu")
FLOAT32 = EncoderOptions(precision="float32", device="cpu")
BATCH = 7
"""Odd, so that somebody comes off short."""
STEPS = {
    "infonce": {},
    "infonce without negatives": {"negatives": 0},
    "infonce in micro-batches": {"micro": 3},
    "infonce, padded": {"padded": True, "micro": 4},
    "gist": {"loss": "gist"},
    "gist without negatives, in micro-batches": {"loss": "gist", "negatives": 0, "micro": 2},
    "distill-kl": {"loss": "distill-kl", "infonce_weight": 0.1},
    "margin-mse": {"loss": "margin-mse"},
    "cosent": {"loss": "cosent", "negatives": 0},
    "matryoshka": {"matryoshka_dims": (32, 8)},
    "replay": {"replay": True, "micro": 5},
    "one replayed text": {"replay": True, "per_document": 0.01},
}
TRAINING = TrainOptions(
    batch_size=5, epochs=3, learning_rate=1e-3, validations=2, val_split="train", micro_batch_size=4, scale=20
)


def make_training_set(*, negatives: int = 2, replay: bool = False, per_document: float = 0.3) -> TrainingSet:
    """Returns the sample, each query with other queries' documents and a near-duplicate of one as hard negatives."""
    sample = RetrievalDataset.read(SAMPLE)
    copies = {f"{document_id}-copy": text + " ok" for document_id, text in sample.corpus.items()}
    queries, documents = sample.split_query_ids("train"), list(sample.corpus)
    hard = {q: [f"{documents[i]}-copy", documents[i], documents[-i - 1]] for i, q in enumerate(queries)}
    scores = {q: {d: i % 5 + place / 7 for place, d in enumerate((*sample.positives(q), *hard[q]))}
              for i, q in enumerate(queries)}  # fmt: skip
    dataset = replace(sample, corpus=sample.corpus | copies, extra={"scores": scores})
    made = TrainingSet.build(dataset, "train", hard, negatives)
    texts = ReplayedTexts(list(sample.queries.values()), per_document, seed=1)
    return replace(made, replayed=texts) if replay else made


def make_step(
    model_folder: Path, *, micro: int = 64, padded: bool = False, loss: str = "infonce", **more
) -> TrainingStep:
    given = {name: more.pop(name) for name in ("negatives", "replay", "per_document") if name in more}
    examples = examples_for(loss, make_training_set(**given))
    model = load_model(str(model_folder), FLOAT32).eval()
    forward = PaddedTraining(model, "float32", CPU, 16) if padded else make_forward(model, "float32", CPU, 16)
    options = TrainOptions(loss=loss, scale=20, **more)
    encoder, cache = load_encoder(model_folder, FLOAT32), EmbeddingCache(None)
    guide = Guide(examples, encoder, cache) if loss == "gist" else None
    kept = [] if examples.replayed is None else KeptVectors.encode(examples.replayed, encoder, cache)
    kept = [replace(one, vectors=one.vectors.roll(1, 0)) for one in kept]  # so that there is something to bring back
    return TrainingStep(examples, forward, GradientCache(forward, micro, CPU), options, guide, kept)


def run_step(step: TrainingStep) -> tuple[float, dict[str, torch.Tensor]]:
    """Returns the loss and the gradients of a first batch."""
    shared = LOSSES.load(step.options.loss).NEEDS != "scored_pairs"
    batch = plan_batches(step.training_set, BATCH, epochs=1, seed=1, negatives_shared=shared)[0]
    loss = step(batch)
    parameters = step.forward_pass.model.named_parameters()
    return float(loss), {name: p.grad for name, p in parameters if p.grad is not None}


def run_training(model_folder: Path, out: Path) -> None:
    train(make_training_set(), str(model_folder), out, options=TRAINING, encoder_options=FLOAT32)


def _said(work) -> str:
    try:
        work()
    except EmbedtuneError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def _break_on_the_second(step: TrainingStep, error: Exception, *, passes: range, texts: int) -> None:
    """Lets the second process's forward pass fail, the first times that it is given more than so many texts."""
    embed, seen = step.forward_pass.embed, []

    def broken(batch, positions=None):
        count = len(step.forward_pass.lengths(batch)) if positions is None else len(positions)
        if processes.rank() == 1 and count > texts:
            seen.append(count)
            if len(seen) - 1 in passes:
                raise error
        return embed(batch, positions)

    step.forward_pass.embed = broken


def _main(model_folder: Path, out: Path) -> None:
    join("cpu")
    found: dict[str, object] = {}
    for name, given in STEPS.items():
        loss, gradients = run_step(make_step(model_folder, **given))
        found[name] = loss
        if processes.is_writer():
            save_file(gradients, out / f"{name}.safetensors")
    for name, passes in (("without a graph", range(1)), ("with a graph", range(5, 6))):
        step = make_step(model_folder, micro=4)
        _break_on_the_second(step, MemoryError(), passes=passes, texts=2)
        found[f"memory {name}"] = [run_step(step)[0], step.gradient_cache.micro_batch_size]
    step = make_step(model_folder, micro=4)
    _break_on_the_second(step, MemoryError(), passes=range(1000), texts=0)
    found["no memory at all"] = _said(lambda: run_step(step))
    step = make_step(model_folder, micro=4)
    if processes.rank() == 1:
        step.forward_pass.model[0].model.encoder.layer[0].output.dense.weight.data[0, 0] = torch.nan
    found["nan"] = _said(lambda: run_step(step))

    def refused() -> None:
        raise OptionsError("no", where="here", remedy="try")

    found["refused"] = _said(lambda: on_writer(refused))
    found["other data"] = _said(lambda: same_everywhere(f"data of {processes.rank()}"))
    found["given"] = on_writer(lambda: {"from": processes.rank()})
    run_training(model_folder, out / "trained")
    (out / f"{processes.rank()}.json").write_text(json.dumps(found), encoding="utf-8")
    leave()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
