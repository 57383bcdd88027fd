"""Other people's layouts → RetrievalDataset; each file is a converter of that name.

A converter has an Options class and `convert(source, options) -> RetrievalDataset`.
"""

from embedtune.registry import Registry

__all__ = ["CONVERTERS"]

CONVERTERS = Registry(__name__, "converter")
