"""What `publish` and `compress` are asked; the stores' own options lie with the stores."""

from __future__ import annotations

from pydantic import Field

from embedtune.options import Options

__all__ = ["CompressionOptions", "PublishOptions"]


class PublishOptions(Options):
    """How documents are written, and how the search is checked."""

    batch_size: int = Field(default=512, ge=1, description="Documents written at once; what is written stays.")
    delete_missing: bool = Field(
        default=False, description="Delete documents of the collection that aren't in the dataset."
    )
    split: str = Field(default="val", description="Split whose queries check the search; all for every query.")
    check: bool = Field(default=True, description="Search the collection and compare with exact search.")
    min_recall: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of the exact ten best that the store has to find; "
        "default: 0.999 where its index looks at everything, else 0.95.",
    )


class CompressionOptions(Options):
    """Which vectors are measured, and on what."""

    split: str = Field(default="val", description="Split whose queries are asked; all for every query.")
    dims: tuple[int, ...] = Field(
        default=(256, 128, 64),
        description="First dimensions that are kept, for models trained for that; those under the model's are tried.",
    )
    oversample: int = Field(
        default=4, ge=1, description="Candidates found by their bits for each of the ten, to be scored again."
    )
