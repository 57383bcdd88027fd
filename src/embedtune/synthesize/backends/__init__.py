"""Ways of making queries from documents; each file is a backend of that name.

A backend has OPTIONS (an Options class), KINDS (its query kinds → default weights; a kind that isn't
part of the default mix has weight 0), and
`generate(documents, options, setting) -> Iterator[SyntheticQuery]`: `documents` is id → text, `setting`
a GenerationSetting. One that costs something also has
`estimate(documents, options, setting) -> Estimate`, which must not spend anything.
"""

from embedtune.registry import Registry

__all__ = ["BACKENDS", "DEFAULT_BACKEND"]

BACKENDS = Registry(__name__, "backend")
DEFAULT_BACKEND = "rules"
