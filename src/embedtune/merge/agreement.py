"""What must be the same in two models before their weights can be mixed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from sentence_transformers import SentenceTransformer

from embedtune.errors import EncoderError
from embedtune.models.fingerprint import model_definition
from embedtune.models.sentence_transformer import prompt_of

__all__ = ["refuse_different"]

_SHOWN = 3
_CHARACTERS = 160


def refuse_different(base: SentenceTransformer, tuned: SentenceTransformer, base_name: str, tuned_name: str) -> None:
    """Raises EncoderError with every difference besides the weights' numbers, or where those aren't finite."""
    found = [*_definitions(base, tuned), *_settings(base, tuned), *_tensors(base, tuned)]
    if found:
        raise EncoderError(
            "these two models can't be merged, only their weights may differ:\n  " + "\n  ".join(found),
            where=f"{base_name} and {tuned_name}",
            remedy="name as --base the model that --tuned was trained from; --query-instruction, "
            "--document-instruction and --max-length set these for both",
        )
    for model, name in ((base, base_name), (tuned, tuned_name)):
        bad = [key for key, value in model.state_dict().items() if not bool(torch.isfinite(value).all())]
        if bad:
            raise EncoderError(f"the weights hold NaN or infinite numbers: {_some(bad)}", where=name)


def _definitions(base: SentenceTransformer, tuned: SentenceTransformer) -> Iterator[str]:
    """Yields differences of modules, pooling, configuration and tokenizer."""
    one, other = dict(model_definition(base)), dict(model_definition(tuned))
    for part in dict.fromkeys([*one, *other]):
        if one.get(part) != other.get(part):
            words = "differs" if "tokenizer" in part else f"{_cut(one.get(part))} and {_cut(other.get(part))}"
            yield f"{part}: {words}"


def _settings(base: SentenceTransformer, tuned: SentenceTransformer) -> Iterator[str]:
    """Yields differences of prompts, length limit and similarity."""
    for kind in ("query", "document"):
        one, other = prompt_of(base, kind), prompt_of(tuned, kind)
        if one != other:
            yield f"{kind} prompt: {one!r} and {other!r}"
    for name in ("max_seq_length", "similarity_fn_name"):
        if getattr(base, name) != getattr(tuned, name):
            yield f"{name}: {getattr(base, name)} and {getattr(tuned, name)}"


def _tensors(base: SentenceTransformer, tuned: SentenceTransformer) -> Iterator[str]:
    """Yields differences of names and shapes of tensors, and of numbers that can't be mixed."""
    one, other = base.state_dict(), tuned.state_dict()
    for names, words in (
        (one.keys() - other.keys(), "only in the first"),
        (other.keys() - one.keys(), "in the second"),
    ):
        if names:
            yield f"{len(names)} tensors {words}: {_some(sorted(names))}"
    both = [name for name in one if name in other]
    shapes = [
        f"{name} {tuple(one[name].shape)} and {tuple(other[name].shape)}"
        for name in both
        if one[name].shape != other[name].shape
    ]
    if shapes:
        yield f"{len(shapes)} tensors of other shape: {_some(shapes)}"
    for name in both:
        if not one[name].is_floating_point() and not torch.equal(one[name], other[name]):
            yield f"{name} holds whole numbers that differ"


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")


def _cut(text: str | None) -> str:
    if text is None:
        return "nothing"
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
