"""What `card` is asked."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from embedtune.export.card_words import CardLanguage
from embedtune.options import Options

__all__ = ["CardOptions"]


class CardOptions(Options):
    """What the card is to say that the folder doesn't know."""

    results: tuple[str, ...] = Field(
        default=(), description="BASE,TUNED: two folders of embedtune eval on the same queries; may be repeated."
    )
    guards: tuple[str, ...] = Field(default=(), description="The same for collections of other domains.")
    verdict: Path | None = Field(default=None, description="File that `embedtune gate --json` was printed into.")
    license: str | None = Field(
        default=None, description="Licence of the model, as the Hub spells it: apache-2.0, mit."
    )
    base_model: str | None = Field(
        default=None, description="Name of the base on the Hub; default: as it was trained from, where that is one."
    )
    language: CardLanguage = Field(default="en", description="Language of the card's words: en or zh.")
