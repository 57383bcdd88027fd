"""What is looked at before anything long begins."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from sentence_transformers import SentenceTransformer

from embedtune import progress
from embedtune.data.dataset import ALL_QUERIES
from embedtune.data.training_set import TrainingSet
from embedtune.errors import DataError, EncoderError, MissingPackageError, OptionsError, describe_unknown
from embedtune.models.encoder import EncoderOptions
from embedtune.models.forward import count_tokens
from embedtune.models.sentence_transformer import prompt_of
from embedtune.train.losses import LOSSES
from embedtune.train.options import TrainOptions

__all__ = ["refuse_bad_options", "refuse_what_has_no_gradients", "refuse_without_val", "say_cut_texts"]

_FEWEST_DOCUMENTS = 2
_REPORTERS = {"none": None, "tensorboard": "tensorboard", "trackio": "trackio", "wandb": "wandb"}
_ALTERNATIVE = "or keep the encoder and train a map of its query vectors with --method adapter"


def refuse_what_has_no_gradients(encoder: str, options: EncoderOptions) -> None:
    """Raises OptionsError or EncoderError for an encoder whose weights can't be trained."""
    if options.precision == "int8":
        raise OptionsError(
            "weights can't be trained in int8: rounded numbers have no gradients",
            remedy="use --precision bfloat16 or float32, and int8 again when the tuned model encodes",
        )
    if "://" in encoder:
        raise EncoderError(
            f"{encoder} is a model behind an address, whose weights and gradients can't be had",
            remedy=f"name a model folder or a model on the Hub, {_ALTERNATIVE}",
        )
    folder = Path(encoder).expanduser()
    if folder.is_dir() and not any(folder.rglob("*.safetensors")):
        foreign = [*folder.rglob("*.onnx"), *folder.rglob("openvino_model*.xml")]
        if foreign:
            raise EncoderError(
                f"{folder} holds its weights as {foreign[0].name} alone, a format for encoding that has no gradients",
                where=str(foreign[0]),
                remedy="name the model that it was exported from, with its safetensors weights",
            )


def refuse_bad_options(options: TrainOptions) -> None:
    """Raises OptionsError for an unknown loss or reporter, MissingPackageError for one that isn't installed."""
    LOSSES.load(options.loss)
    for name in options.report_to.split(","):
        if name not in _REPORTERS:
            raise OptionsError(describe_unknown("value for option 'report_to':", name, _REPORTERS), where="report_to")
        package = _REPORTERS[name]
        if package is not None and importlib.util.find_spec(package) is None:
            raise MissingPackageError(
                f"--report-to {name} needs the package {package!r}, which isn't installed",
                remedy=f"pip install {package}, or leave --report-to out: training.jsonl and learning_curve.svg are "
                "written in any case",
            )


def refuse_without_val(training_set: TrainingSet, split: str) -> None:
    """Raises DataError or OptionsError where no checkpoint could be chosen or nothing can be told apart."""
    dataset = training_set.val_dataset
    if len(dataset.corpus) < _FEWEST_DOCUMENTS:
        raise DataError(
            f"the corpus has {len(dataset.corpus)} document: there is nothing to tell it apart from",
            where="corpus",
            remedy="give more documents; embedtune import documents cuts long files into pieces",
        )
    if split not in dataset.queries_split and split != ALL_QUERIES:
        raise DataError(
            f"the dataset has no split {split!r}, which chooses the checkpoint (known: "
            f"{', '.join(sorted(dataset.queries_split))})",
            where="queries_split",
            remedy="divide the data with embedtune split, or name another --val-split",
        )
    if not any(dataset.positives(query_id) for query_id in dataset.split_query_ids(split)):
        raise DataError(
            f"no query of the split {split!r}, which chooses the checkpoint, has a relevant document",
            where=f"queries_split[{split!r}]",
            remedy="give judgements for it, divide the data anew with embedtune split, or name another --val-split",
        )


def say_cut_texts(model: SentenceTransformer, training_set: TrainingSet) -> None:
    """Says how many queries and documents of the training set are longer than the model's limit."""
    limit = model.max_seq_length
    if limit is None:
        return
    dataset = training_set.dataset
    queries = list(dict.fromkeys(example.query_id for example in training_set.examples))
    documents = dict.fromkeys(d for e in training_set.examples for d in (e.positive_id, *e.negative_ids))
    counts = [
        sum(length > limit for length in count_tokens(model, [prompt + text for text in texts]))
        for prompt, texts in (
            (prompt_of(model, "query"), [dataset.queries[query_id] for query_id in queries]),
            (prompt_of(model, "document"), [dataset.corpus[document_id] for document_id in documents]),
        )
    ]
    if any(counts):
        progress.say(
            f"warning: {counts[0]} of {len(queries)} queries and {counts[1]} of {len(documents)} documents are longer "
            f"than {limit} tokens, and what is behind isn't read; raise --max-length if the model allows it, or "
            "cut the documents into pieces with embedtune import documents"
        )
