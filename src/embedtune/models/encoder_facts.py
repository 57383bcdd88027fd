"""What the checks need to know of an encoder: its limit, its prompts, and how it counts tokens."""

from __future__ import annotations

from pathlib import Path

from embedtune.data.checks import EncoderFacts
from embedtune.models.encoder import EncoderOptions

__all__ = ["encoder_facts"]


def encoder_facts(name: str, options: EncoderOptions) -> EncoderFacts:
    """Returns the facts of the encoder of that name; raises EncoderError where it can't be loaded."""
    from embedtune.models.exported_encoder import ExportedEncoder
    from embedtune.models.exported_model import is_exported
    from embedtune.models.sentence_transformer import SentenceTransformerEncoder, load_model

    encoder: ExportedEncoder | SentenceTransformerEncoder
    if is_exported(name):
        encoder = ExportedEncoder(Path(name).expanduser(), options)
    else:
        encoder = SentenceTransformerEncoder(load_model(name, options), options)
    return EncoderFacts(
        name, encoder.max_length, encoder.count_tokens, encoder.prompt("query"), encoder.prompt("document")
    )
