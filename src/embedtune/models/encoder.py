"""Text → vectors: the protocol every encoder follows, and how one is loaded by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from embedtune.options import Options

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = [
    "Encoder",
    "EncoderOptions",
    "FloatPrecision",
    "ForwardName",
    "Precision",
    "TextKind",
    "Vectors",
    "encoder_of",
    "load_encoder",
]

TextKind = Literal["query", "document"]
FloatPrecision = Literal["auto", "float32", "bfloat16", "float16"]
Precision = Literal[FloatPrecision, "int8"]
ForwardName = Literal["auto", "packed", "sentence-transformers"]
Vectors = npt.NDArray[np.float32]
"""Shape (number of texts, dim), float32."""


class EncoderOptions(Options):
    """How a model is loaded and run."""

    HEADING: ClassVar[str] = "Encoder"

    query_instruction: str | None = Field(
        default=None, description="Text put before every query; default: the model's own query prompt."
    )
    document_instruction: str | None = Field(
        default=None, description="Text put before every document; default: the model's own document prompt."
    )
    precision: Precision = Field(
        default="auto",
        description="auto takes bfloat16 where the hardware computes in it, else float32. int8 is faster on a CPU with "
        "AVX-512 VNNI, loses a little, and says how much.",
    )
    forward: ForwardName = Field(
        default="auto",
        description="packed computes texts end to end, without padding (BERT family on a CPU); "
        "sentence-transformers computes anything. auto takes packed where it can.",
    )
    max_length: int | None = Field(
        default=None, ge=2, description="Longest text in tokens, special tokens included; default: the model's limit."
    )
    tokens_per_batch: int = Field(default=8192, ge=64, description="Tokens encoded at once.")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps; several with commas.")
    processes: int = Field(
        default=1, ge=1, description="Processes that encode, weights shared; of several devices each has its own."
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit of a model on the Hub.")
    trust_remote_code: bool = Field(default=False, description="Run Python code that comes with the model.")


class Encoder(Protocol):
    """Anything that turns texts into vectors."""

    @property
    def dim(self) -> int:
        """Returns the length of one vector."""

    @property
    def cache_key(self) -> dict[str, Any]:
        """Returns all that changes a vector besides the text and its kind, as JSON values."""

    def prompt(self, kind: TextKind) -> str:
        """Returns the text that is put before every query or document; may be empty."""

    def encode(self, texts: list[str], kind: TextKind) -> Vectors:
        """Returns (len(texts), dim) float32, in the order of the texts.

        Unit length where the model compares by cosine, so that an inner product ranks.
        Raises EncoderError for what isn't a text and for vectors that aren't finite.
        """


def load_encoder(name: str | Path, options: EncoderOptions | None = None) -> Encoder:
    """Returns the encoder of that name: "minilm", a folder, or a model on the Hugging Face Hub.

    A tuned model's folder brings its query-side map and its moved documents, an exported folder
    its graph. Raises EncoderError where it can't be found, reached or loaded.
    """
    from embedtune.models.exported_encoder import ExportedEncoder
    from embedtune.models.exported_model import is_exported
    from embedtune.models.moved_documents import MovedDocuments, has_moved_documents
    from embedtune.models.sentence_transformer import load_model
    from embedtune.models.tuned_encoder import TunedEncoder
    from embedtune.models.vector_map import take_query_map

    options = options or EncoderOptions()
    moved = MovedDocuments.read(Path(name).expanduser()) if has_moved_documents(str(name)) else None
    base: Encoder
    if is_exported(name):
        base = ExportedEncoder(Path(name).expanduser(), options)
        return base if moved is None else TunedEncoder(base, None, moved)
    model = load_model(str(name), options)
    query_map = take_query_map(model)
    if options.processes > 1 or "," in options.device:
        from embedtune.models.pool import EncoderPool

        base = EncoderPool(model, options, str(name))
    else:
        base = encoder_of(model, options)
    return base if query_map is None and moved is None else TunedEncoder(base, query_map, moved)


def encoder_of(model: SentenceTransformer, options: EncoderOptions) -> Encoder:
    """Returns the encoder of a model in memory, which is used up; one process on the first device."""
    from embedtune.models.sentence_transformer import SentenceTransformerEncoder

    return SentenceTransformerEncoder(
        model, options.model_copy(update={"processes": 1, "device": options.device.split(",")[0]})
    )
