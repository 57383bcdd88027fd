"""Other people's layouts → RetrievalDataset; each file is a converter of that name.

A converter has an Options class, named once more as OPTIONS so that the command line finds it, and
`convert(source, options) -> RetrievalDataset`.
"""

from pathlib import Path
from typing import Any

from embedtune.data.dataset import RetrievalDataset
from embedtune.registry import Registry

__all__ = ["CONVERTERS", "convert"]

CONVERTERS = Registry(__name__, "converter")


def convert(name: str, source: str | Path | None = None, **options: Any) -> RetrievalDataset:
    """Returns the dataset that the named converter makes of a source.

    `options` are the fields of that converter's Options class. Raises OptionsError for an unknown
    name or option, DataError for a source that can't be read.
    """
    converter = CONVERTERS.load(name)
    dataset: RetrievalDataset = converter.convert(source, converter.OPTIONS(**options))
    return dataset
