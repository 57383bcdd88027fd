"""Encodes with a sentence-transformers model: batches of like length, one token budget."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from embedtune import progress
from embedtune.data.hub import hub_reachable, why_unreachable
from embedtune.errors import EncoderError
from embedtune.models.encoder import EncoderOptions, Precision, TextKind, Vectors
from embedtune.models.fingerprint import model_fingerprint
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
_CHARACTERS_PER_TOKEN = 4


class SentenceTransformerEncoder:
    """A model with its prompts, length limit and precision; see the Encoder protocol.

    The model given is changed: moved to the device and cast to the precision. Its fingerprint
    is taken first.
    """

    def __init__(self, model: SentenceTransformer, options: EncoderOptions) -> None:
        apply_options(model, options)
        self.fingerprint = model_fingerprint(model)
        self.device = choose_device(options.device)
        self.precision = choose_precision(options.precision, self.device)
        self.normalise = model.similarity_fn_name == "cosine"
        self.tokens_per_batch = options.tokens_per_batch
        self.model = model.to(device=self.device, dtype=DTYPES[self.precision]).eval()

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
            "normalise": self.normalise,
            "dim": self.dim,
        }

    def prompt(self, kind: TextKind) -> str:
        """Returns the prompt that sentence-transformers' encode_query or encode_document uses."""
        return prompt_of(self.model, kind)

    def encode(self, texts: list[str], kind: TextKind) -> Vectors:
        """Returns (len(texts), dim) float32 in the order of the texts; see the Encoder protocol."""
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise EncoderError(f"expected texts, found {type(text).__name__} at position {position}")
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        prompt = self.prompt(kind)
        for batch in self._batches(self.count_tokens([prompt + text for text in texts])):
            vectors[batch] = self._forward([texts[i] for i in batch], kind, prompt)
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if bad.size:
            raise EncoderError(
                f"the model's vector isn't finite for {bad.size} of {len(texts)} texts, "
                f"the first being {texts[bad[0]][:80]!r}",
                remedy="try --precision float32; if that fails too the weights are damaged",
            )
        return vectors

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Returns each text's length in tokens before any cut, special tokens included.

        Where the tokenizer isn't one of transformers', an estimate from the characters.
        """
        tokenizer = self.model.tokenizer
        if not hasattr(tokenizer, "backend_tokenizer") or not texts:
            return [len(text) // _CHARACTERS_PER_TOKEN + 1 for text in texts]
        encoded = tokenizer(texts, padding=False, truncation=False, return_attention_mask=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def _batches(self, token_counts: list[int]) -> Iterator[list[int]]:
        """Yields positions, longest first; a batch's padded size is at most the token budget."""
        limit = self.max_length or max(token_counts, default=0)
        lengths = np.minimum(token_counts, limit)
        batch: list[int] = []
        for position in np.argsort(-lengths, kind="stable").tolist():
            longest = int(lengths[batch[0]]) if batch else 0
            if batch and longest * (len(batch) + 1) > self.tokens_per_batch:
                yield batch
                batch = []
            batch.append(position)
        if batch:
            yield batch

    @torch.inference_mode()
    def _forward(self, texts: list[str], kind: TextKind, prompt: str) -> Vectors:
        features = self.model.preprocess(texts, prompt=prompt or None, task=kind)
        features = {
            name: value.to(self.device) if isinstance(value, torch.Tensor) else value
            for name, value in features.items()
        }
        vectors = self.model(features, task=kind)["sentence_embedding"].float()
        if self.normalise:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        result: Vectors = vectors.cpu().numpy()
        return result


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
