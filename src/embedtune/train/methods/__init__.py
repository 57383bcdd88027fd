"""Ways to adapt a model; each file is a method of that name.

A method has an Options class, named once more as OPTIONS so that the command line finds it, and
`fit(job, options) -> TunedModel`.
"""

from embedtune.registry import Registry

__all__ = ["METHODS"]

METHODS = Registry(__name__, "method")
