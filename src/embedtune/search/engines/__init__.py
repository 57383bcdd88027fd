"""Where documents are encoded and searched; each file is an engine of that name.

An engine module has `encode_corpus(encoder, corpus, cache, engine) -> EncodedCorpus`; see search/engine.py.
"""

from embedtune.registry import Registry

__all__ = ["ENGINES"]

ENGINES = Registry(__name__, "engine")
