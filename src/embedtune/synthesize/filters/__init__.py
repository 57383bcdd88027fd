"""Says which queries are worth training on; each file here is one filter.

A filter has OPTIONS, an Options class whose fields no other filter has; `needs(options)`, the models of
FilterModels that it can't do without; and `judge(material, options) -> Judgement`.
"""

from embedtune.registry import Registry

__all__ = ["FILTERS"]

FILTERS = Registry(__name__, "filter")
