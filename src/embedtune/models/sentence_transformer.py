"""Encodes with a sentence-transformers model: batches of like length, one token budget."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from transformers.utils import logging as transformers_logging

from embedtune import progress
from embedtune.data.hub import hub_reachable, why_unreachable
from embedtune.errors import EncoderError
from embedtune.models.encoder import EncoderOptions, Precision, TextKind, Vectors
from embedtune.models.exported_model import refuse_gradients
from embedtune.models.fingerprint import model_fingerprint
from embedtune.models.forward import Forward, PackedForward, PaddedForward, count_tokens, with_halving
from embedtune.models.length_batches import batches_by_length
from embedtune.models.packed.bert import PackedPrecision
from embedtune.models.packed.transformer import can_pack_model
from embedtune.models.workers import in_threads
from embedtune.packaged import MINILM, minilm_folder

__all__ = [
    "DTYPES",
    "SentenceTransformerEncoder",
    "apply_options",
    "cannot_load_model",
    "choose_device",
    "choose_precision",
    "load_model",
    "locate_model",
    "prompt_of",
]

DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_COMPARED_TEXTS = 32


class SentenceTransformerEncoder:
    """A model with its prompts, length limit and precision; see the Encoder protocol.

    The model given is used up: moved to the device and cast to the precision, or packed and its
    own weights let go. Its fingerprint is taken first. `shareable` is for EncoderPool.
    """

    def __init__(self, model: SentenceTransformer, options: EncoderOptions, *, shareable: bool = False) -> None:
        apply_options(model, options)
        self.fingerprint = model_fingerprint(model)
        self.device = choose_device(options.device)
        averages = options.precision == "auto" and isinstance(model[0], StaticEmbedding)
        self.precision = "float32" if averages else choose_precision(options.precision, self.device)
        self.normalise = model.similarity_fn_name == "cosine"
        self.model = model
        self._tokens_wanted = options.tokens_per_batch
        self._forward, self._float_forward = self._choose_forward(options.forward, shareable)

    def _choose_forward(self, wanted: str, shareable: bool) -> tuple[Forward, PackedForward | None]:
        """Returns the forward pass, and for int8 the float32 one to compare it with once."""
        model, precision = self.model, self.precision
        if self.device.type == "cpu" and wanted != "sentence-transformers" and can_pack_model(model, precision):
            forward = PackedForward(model, cast("PackedPrecision", precision), shareable=shareable)
            compared = PackedForward(model, "float32") if precision == "int8" else None
            let_go_of_weights(model)
            return forward, compared
        if precision == "int8" or wanted == "packed":
            raise EncoderError(
                f"the packed forward pass in {precision} can't be had for this model on {self.device}",
                remedy="it takes BERT, RoBERTa and XLM-R on a CPU; bfloat16 also needs AVX-512, int8 AVX-512 with VNNI "
                "and bfloat16 and the kernels that are compiled when embedtune is installed beside a C compiler",
            )
        return PaddedForward(model, self.device, DTYPES[precision]), None

    @property
    def dim(self) -> int:
        """Returns the length of one vector."""
        dim: int | None = self.model.get_embedding_dimension()
        if dim is None:
            raise EncoderError("the model doesn't say how long its vectors are")
        return dim

    @property
    def max_length(self) -> int | None:
        """Returns the longest text in tokens, special tokens included; None where there is no limit."""
        limit: int | None = self.model.max_seq_length
        return limit

    @property
    def cache_key(self) -> dict[str, Any]:
        """Returns all that changes a vector besides the text and its kind."""
        return {
            "weights": self.fingerprint,
            "max_length": self.max_length,
            "precision": self.precision,
            "computed": self._forward.name,
            "normalise": self.normalise,
            "dim": self.dim,
        }

    def __str__(self) -> str:
        workers = f", {self._forward.workers} workers" if self._forward.workers > 1 else ""
        how = f"{self.precision} on {self.device} ({self._forward.name}{workers})"
        return f"{how}, at most {self.max_length} tokens a text"

    def prompt(self, kind: TextKind) -> str:
        """Returns the prompt that sentence-transformers' encode_query or encode_document uses."""
        return prompt_of(self.model, kind)

    def encode(self, texts: list[str], kind: TextKind) -> Vectors:
        """Returns (len(texts), dim) float32 in the order of the texts; see the Encoder protocol."""
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise EncoderError(f"expected texts, found {type(text).__name__} at position {position}")
        vectors = self._encode(self._forward, texts, kind)
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if bad.size:
            raise EncoderError(
                f"the model's vector isn't finite for {bad.size} of {len(texts)} texts, "
                f"the first being {texts[bad[0]][:80]!r}",
                remedy="try --precision float32; if that fails too the weights are damaged",
            )
        self.say_loss(texts, kind, vectors)
        return vectors

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Returns each text's length in tokens before any cut; see models.forward.count_tokens."""
        return count_tokens(self.model, texts)

    def _encode(self, forward: Forward, texts: list[str], kind: TextKind) -> Vectors:
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        if not texts:
            return vectors
        tokenized = forward.tokenize(texts, kind, self.prompt(kind))
        vectors_of = with_halving(tokenized.vectors_of)

        def encode_batch(positions: list[int]) -> Vectors:
            with torch.inference_mode():
                batch = vectors_of(positions)
                batch = torch.nn.functional.normalize(batch, dim=1) if self.normalise else batch
                result: Vectors = batch.cpu().numpy()
            return result

        tokens = forward.tokens_per_batch(self._tokens_wanted)
        share = -(-int(tokenized.lengths.sum()) // forward.workers)  # so that few texts still use every worker
        batches = batches_by_length(tokenized.lengths, min(tokens, max(share, 1)), padded=forward.padded)
        for positions, fresh in in_threads(batches, encode_batch, forward.workers):
            vectors[positions] = fresh
        return vectors

    def for_worker(self) -> SentenceTransformerEncoder:
        """Returns an encoder with the same weights that computes on one thread."""
        single = copy.copy(self)
        single._forward = copy.copy(self._forward)
        single._forward.workers = 1
        single._float_forward = None
        return single

    def say_loss(self, texts: list[str], kind: TextKind, vectors: Vectors) -> None:
        """Says once how near int8 vectors are to float32's, on a sample of the first texts."""
        exact, self._float_forward = self._float_forward, None
        if exact is None or not texts:
            return
        sample = list(range(0, len(texts), max(1, len(texts) // _COMPARED_TEXTS)))[:_COMPARED_TEXTS]
        reference = self._encode(exact, [texts[i] for i in sample], kind)
        norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(vectors[sample], axis=1)
        cosines = (reference * vectors[sample]).sum(axis=1) / norms
        progress.say(
            f"int8: cosine to float32 at least {cosines.min():.4f}, on average {cosines.mean():.4f} "
            f"({len(sample)} of these texts)"
        )


def let_go_of_weights(model: SentenceTransformer) -> None:
    """Takes the weights of the Transformer module out of memory; its tokenizer and limits stay."""
    transformer = cast("Any", model[0])
    shell = torch.nn.Module()
    shell.config = transformer.model.config
    transformer.model = shell


def apply_options(model: SentenceTransformer, options: EncoderOptions) -> None:
    """Gives the model the length limit and the prompts asked for, so that they are saved with it.

    Raises EncoderError where its vectors aren't compared by an inner product.
    """
    if options.max_length is not None:
        model.max_seq_length = options.max_length
    for name, instruction in (
        ("query", options.query_instruction),
        ("document", options.document_instruction),
    ):
        if instruction is not None:
            model.prompts[name] = instruction
    if model.similarity_fn_name not in ("cosine", "dot"):
        raise EncoderError(
            f"the model compares vectors by {model.similarity_fn_name}, expected cosine or dot",
            remedy="set similarity_fn_name in config_sentence_transformers.json",
        )


def prompt_of(model: SentenceTransformer, kind: TextKind) -> str:
    """Returns the prompt that the model's own encode_query or encode_document would use."""
    names = ("query",) if kind == "query" else ("document", "passage", "corpus")
    for name in (*names, model.default_prompt_name):
        if name in model.prompts:
            return model.prompts[name] or ""
    return ""


def choose_device(device: str) -> torch.device:
    """Returns the device asked for; "auto" is the first GPU where there is one, else the CPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise EncoderError(f"unknown device {device!r}", remedy="use auto, cpu, cuda, cuda:1 or mps") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise EncoderError(f"device {device!r} asked for, but PyTorch sees no GPU", remedy="use --device cpu")
    return chosen


def choose_precision(precision: Precision, device: torch.device) -> str:
    """Returns "float32", "bfloat16" or "float16"; "auto" is bfloat16 where the hardware has it."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type == "cpu":
        abilities = torch.cpu.get_capabilities()
        return "bfloat16" if abilities.get("avx512_bf16") or abilities.get("amx_bf16") else "float32"
    return "float32"


def load_model(name: str, options: EncoderOptions) -> SentenceTransformer:
    """Returns the sentence-transformers model of that name; see load_encoder."""
    refuse_gradients(name)
    place, offline = locate_model(name)
    if Path(place).is_dir() and not (Path(place) / "modules.json").is_file():
        progress.say(f"warning: {place} has no modules.json, so mean pooling is assumed")
    transformers_logging.disable_progress_bar()
    try:
        return SentenceTransformer(
            place,
            device="cpu",
            revision=options.revision,
            trust_remote_code=options.trust_remote_code,
            local_files_only=offline,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )
    except (OSError, ValueError, ImportError, RuntimeError, KeyError, TypeError) as error:
        raise cannot_load_model(name, place, offline, error) from error


def locate_model(name: str) -> tuple[str, bool]:
    """Returns what sentence-transformers is to load, and whether the Hub must be left alone.

    Raises EncoderError for a folder without a model and for what can't be a name.
    """
    if name == MINILM:
        return str(minilm_folder()), True
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "modules.json").is_file() and not (path / "config.json").is_file():
            raise EncoderError(
                f"the folder {path} holds no model: neither modules.json nor config.json is there",
                remedy="give a sentence-transformers folder",
            )
        return str(path), True
    try:
        validate_repo_id(name)
    except HFValidationError:
        raise EncoderError(
            f"there is no folder {name}, and it can't be a model's name on the Hub",
            remedy=f"give a folder, a Hub name such as BAAI/bge-small-zh-v1.5, or {MINILM!r}",
        ) from None
    return name, not hub_reachable()


def cannot_load_model(name: str, place: str, offline: bool, error: Exception) -> EncoderError:
    """Returns what to tell the user when loading failed: unreachable, or damaged."""
    if place == name and offline and not Path(name).is_dir():
        return EncoderError(
            f"the model {name!r} isn't in the local Hub cache and {why_unreachable()}",
            remedy="either connect (HF_ENDPOINT names a mirror) and try again, "
            f"or copy the model's folder here and give its path; {MINILM!r} needs no Hub at all",
        )
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return EncoderError(
        f"the model {name!r} can't be loaded: {first_line}",
        where=place,
        remedy="check the name and the files; only safetensors weights are loaded, and a model's own "
        "code only with --trust-remote-code",
    )
