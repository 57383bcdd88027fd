"""Trains weights with sentence-transformers' trainer and keeps those that retrieve best, which may be the first.

The batches, the losses, the gradient caching, the checkpoints and the choice among them are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from torch import nn

from embedtune import processes, progress
from embedtune.artifact import provenance
from embedtune.errors import DataError, EncoderError
from embedtune.models.encoder import load_encoder
from embedtune.models.fingerprint import model_fingerprint
from embedtune.models.moved_documents import has_moved_documents
from embedtune.models.sentence_transformer import apply_options, load_model, prompt_of
from embedtune.models.trainable import PaddedTraining, TrainableForward, make_forward
from embedtune.train.batches import PlannedSampler, plan_batches
from embedtune.train.checkpoints import Snapshot, WorkFolder, key_of, trainable_weights
from embedtune.train.gradient_cache import GradientCache
from embedtune.train.guide import Guide
from embedtune.train.hf_trainer import make_trainer
from embedtune.train.job import TrainingJob
from embedtune.train.kept_vectors import KeptVectors
from embedtune.train.loss_data import examples_for
from embedtune.train.losses import LOSSES
from embedtune.train.options import TrainOptions
from embedtune.train.preflight import say_cut_texts
from embedtune.train.sizes import Sizes, choose_sizes
from embedtune.train.step import DivergedError, TrainingStep, check_lengths
from embedtune.train.together import on_writer, same_everywhere
from embedtune.train.trained import Trained
from embedtune.train.validation import Validator
from embedtune.train.watcher import Watcher

__all__ = ["TrainOptions", "Trained", "load_trainable", "train_weights"]

AsPlain = Callable[[SentenceTransformer], SentenceTransformer]
"""Returns the model as it would be saved, and leaves the one it is given trainable."""

_NOT_IN_THE_KEY = {"micro_batch_size", "checkpoint_minutes", "report_to", "max_minutes"}


def load_trainable(job: TrainingJob) -> SentenceTransformer:
    """Returns the job's model with its options; raises EncoderError where queries and documents part ways."""
    model = load_model(job.encoder, job.encoder_options)
    if has_moved_documents(job.encoder) or any(isinstance(module, Router) for module in model.children()):
        raise EncoderError(
            f"{job.encoder} has a map for queries or moved documents, which new weights would make worthless",
            remedy="name the model that it was made from, train that, and let adapter or NUDGE follow",
        )
    apply_options(model, job.encoder_options)
    return model


def train_weights(
    model: SentenceTransformer, job: TrainingJob, options: TrainOptions, as_plain: AsPlain = lambda model: model
) -> Trained:
    """Trains the model's trainable weights and returns it, as `as_plain` makes it, with the best ones.

    The val split is scored before training and then `validations` times; the highest score
    wins, the earlier one of equals, so that a model that only got worse comes out as it was.
    A training that was killed goes on from its last checkpoint. One whose loss is no number any
    more ends with the best weights until then, or raises EmbedtuneError where those are the base's.
    """
    run = _Run(model, job, options, as_plain)
    try:
        with _dropout(model, options.dropout), progress.task("train", total=len(run.batches)) as training:
            return run.train(training)
    finally:
        run.work.remove_if_empty()


class _Run:
    """One training: what it is made of, in the order in which it is needed."""

    def __init__(self, model: SentenceTransformer, job: TrainingJob, options: TrainOptions, as_plain: AsPlain) -> None:
        check_lengths(options.matryoshka_dims, model.get_embedding_dimension())
        self.model, self.job, self.options, self.as_plain = model, job, options, as_plain
        self.examples = examples_for(options.loss, job.training_set)
        if processes.is_writer():
            say_cut_texts(model, self.examples)
        self.sizes = on_writer(lambda: choose_sizes(model, self.examples, options, job.encoder_options))
        shared = LOSSES.load(options.loss).NEEDS != "scored_pairs"
        self.batches = plan_batches(
            self.examples, self.sizes.batch_size, epochs=options.epochs, seed=options.seed, negatives_shared=shared
        )
        if not self.batches:
            raise DataError(
                f"{len(self.examples.examples)} examples make no batch in which anything could be told apart",
                remedy="give more training queries, or hard negatives with embedtune mine",
            )
        self.work = WorkFolder(job.folder, same_everywhere(key_of(self._all_that_counts())))
        self.validator = _validator(job, options)
        progress.say(f"{self.sizes}; {len(self.batches)} steps")

    def train(self, training: progress.ProgressTask) -> Trained:
        """Trains to the end, or from the last checkpoint on, and returns the best weights."""
        snapshot = on_writer(self.work.latest)
        base = trainable_weights(self.model)
        if snapshot is not None:
            self.model.load_state_dict(snapshot.weights, strict=False)
            progress.say(f"goes on from step {snapshot.step} of {len(self.batches)}, kept in {self.work.folder}")
        step = self._training_step(snapshot)
        watcher = Watcher(self.validator, lambda: self.as_plain(self.model), self.work, step, self.options)
        watcher.begin(self.model, base, self.batches, training, snapshot)
        remaining = PlannedSampler(self.batches, 0 if snapshot is None else snapshot.step)
        trainer = make_trainer(step, remaining, len(self.batches), self.sizes, self.options, self.work.folder)
        trainer.add_callback(watcher)
        watcher.report = trainer.log if self.options.report_to != "none" else None
        words = []
        try:
            trainer.train()
        except DivergedError as stopped:
            self.work.remove()  # from its checkpoints the same command would come to the same end
            words.append(watcher.end_early(stopped))
        words += watcher.cut_short()
        self.model.load_state_dict(watcher.best_weights, strict=False)
        best = self.as_plain(self.model).to("cpu")
        chosen = {"sizes": self._sizes_used(step.gradient_cache), "forward": step.forward_pass.name, "words": words}
        return Trained(best, self.model.to("cpu"), watcher.checkpoints, watcher.log, self.work, chosen)

    def _training_step(self, snapshot: Snapshot | None) -> TrainingStep:
        options, sizes = self.options, self.sizes
        micro = sizes.micro_batch_size
        if snapshot is not None and options.micro_batch_size is None:
            micro = snapshot.micro_batch_size
        forward_pass = _forward(self.model, self.job, sizes, options)
        cache = GradientCache(forward_pass, micro, sizes.device)
        guide, kept = on_writer(lambda: (_guide(self.job, self.examples, options), _kept(self.job)))
        return TrainingStep(self.examples, forward_pass, cache, options, guide, kept)

    def _sizes_used(self, cache: GradientCache) -> dict[str, Any]:
        sizes = self.sizes
        return {
            "device": str(sizes.device),
            "precision": sizes.precision,
            "processes": processes.count(),
            "batch_size": sizes.batch_size,
            "micro_batch_size": cache.micro_batch_size,
        }

    def _all_that_counts(self) -> Mapping[str, Any]:
        """Returns all that changes the weights that come out, as JSON values."""
        model, options = self.model, self.options
        return {
            "options": options.model_dump(exclude=_NOT_IN_THE_KEY) | {"class": type(options).__name__},
            "weights": model_fingerprint(model),
            "prompts": [prompt_of(model, "query"), prompt_of(model, "document")],
            "max_length": model.max_seq_length,
            "computed": [
                str(self.sizes.device),
                self.sizes.precision,
                self.sizes.batch_size,
                self.job.encoder_options.forward,
            ],
            "dataset": self.examples.dataset.content_hash(),
            "replayed": None if self.examples.replayed is None else vars(self.examples.replayed),
            "examples": [[e.query_id, e.positive_id, *e.negative_ids] for e in self.examples.examples],
            "versions": provenance()["versions"],
        }


def _validator(job: TrainingJob, options: TrainOptions) -> Validator:
    dataset = job.training_set.val_dataset
    mined = {d for example in job.training_set.examples for d in example.negative_ids if d in dataset.corpus}
    for query_id in dataset.split_query_ids(options.val_split):
        mined.update(dataset.negative_docs.get(query_id, ()))
    return Validator(
        dataset,
        options.val_split,
        measure=options.val_measure,
        max_documents=options.val_max_documents,
        seed=options.seed,
        encoder_options=job.encoder_options,
        cache=job.cache,
        mined=mined,
    )


def _forward(model: SentenceTransformer, job: TrainingJob, sizes: Sizes, options: TrainOptions) -> TrainableForward:
    if options.gradient_checkpointing:
        backbone: Any = model.transformers_model
        if backbone is None or not backbone.supports_gradient_checkpointing:
            raise EncoderError("this model knows no gradient checkpointing", remedy="lower --micro-batch-size instead")
        backbone.activation_checkpointing_enable({"use_reentrant": False})
    if job.encoder_options.forward == "sentence-transformers":
        return PaddedTraining(model, sizes.precision, sizes.device, options.texts_per_forward)
    return make_forward(model, sizes.precision, sizes.device, options.texts_per_forward)


def _guide(job: TrainingJob, examples: Any, options: TrainOptions) -> Guide | None:
    if LOSSES.load(options.loss).NEEDS != "guide":
        return None
    name = options.guide or job.encoder
    own = job.encoder_options
    if name != job.encoder:
        own = own.model_copy(update={"query_instruction": None, "document_instruction": None, "max_length": None})
    return Guide(examples, load_encoder(name, own), job.cache)


def _kept(job: TrainingJob) -> list[KeptVectors]:
    """Returns the texts whose vectors are kept, with the base model's vectors."""
    texts = job.training_set.replayed
    if texts is None:
        return []
    return KeptVectors.encode(texts, load_encoder(job.encoder, job.encoder_options), job.cache)


@contextmanager
def _dropout(model: nn.Module, keep: bool) -> Iterator[None]:
    """Switches dropout off while the block runs, unless it is to be kept."""
    layers = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    shares = [layer.p for layer in layers]
    for layer in layers:
        layer.p = layer.p if keep else 0.0
    try:
        yield
    finally:
        for layer, share in zip(layers, shares, strict=True):
            layer.p = share
