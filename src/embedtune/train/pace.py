"""How long a training step takes and what it needs, measured on a few of the data's own examples."""

from __future__ import annotations

import random
import time
from typing import NamedTuple

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.training_set import TrainingExample, TrainingSet, known_relevant
from embedtune.models.encoder import EncoderOptions
from embedtune.models.sentence_transformer import apply_options, load_model
from embedtune.models.trainable import make_forward
from embedtune.train.gradient_cache import GradientCache
from embedtune.train.options import TrainOptions
from embedtune.train.sizes import choose_sizes, graph_bytes
from embedtune.train.step import TrainingStep

__all__ = ["Pace", "measure_pace"]

_WARMING, _MEASURED = 2, 6
_KEPT_BESIDE_THE_WEIGHTS = 3
"""The gradients and AdamW's two moments."""


class Pace(NamedTuple):
    """Seconds for each text of a batch, forward and back, and the bytes that training takes besides the model."""

    seconds_per_text: float
    extra_bytes: int


def measure_pace(
    dataset: RetrievalDataset, encoder: str, negatives: int, options: TrainOptions, encoder_options: EncoderOptions
) -> Pace | None:
    """Returns the pace of training all weights; None where fewer than a few queries have a relevant document.

    Batch and precision are those that training would choose. Raises EncoderError for what can't be trained.
    """
    drawn = random.Random(options.seed)
    examples = _examples(dataset, negatives, drawn)
    if len(examples) < _MEASURED:
        return None
    training_set = TrainingSet(dataset, examples, known_relevant(dataset))
    model = load_model(encoder, encoder_options)
    apply_options(model, encoder_options)
    sizes = choose_sizes(model, training_set, options, encoder_options)
    forward_pass = make_forward(model, sizes.precision, sizes.device, options.texts_per_forward)
    step = TrainingStep(
        training_set, forward_pass, GradientCache(forward_pass, sizes.micro_batch_size, sizes.device), options
    )
    model.train()
    step(list(range(_WARMING)))
    measured = list(range(len(examples) - _MEASURED, len(examples)))
    started = time.perf_counter()
    step(measured)
    seconds = time.perf_counter() - started
    texts = sum(2 + len(examples[position].negative_ids) for position in measured)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    extra = _KEPT_BESIDE_THE_WEIGHTS * weights + graph_bytes(
        model, sizes, texts_of_a_batch(sizes.batch_size, negatives)
    )
    return Pace(seconds / texts, extra)


def texts_of_a_batch(batch_size: int, negatives: int) -> int:
    """Returns how many texts a batch of queries has, with a positive and the negatives of each."""
    return batch_size * (2 + negatives)


def _examples(dataset: RetrievalDataset, negatives: int, drawn: random.Random) -> list[TrainingExample]:
    """Returns examples as training has them; documents drawn at random stand for negatives that aren't mined yet."""
    documents = list(dataset.corpus)
    asked = [query_id for query_id in dataset.queries if dataset.positives(query_id)]
    chosen = drawn.sample(asked, min(len(asked), _WARMING + _MEASURED))
    return [
        TrainingExample(
            query_id,
            dataset.positives(query_id)[0],
            tuple(drawn.sample(documents, min(negatives, len(documents)))),
        )
        for query_id in chosen
    ]
