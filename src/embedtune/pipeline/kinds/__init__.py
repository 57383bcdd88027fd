"""What a recipe's steps can do; each file is a kind of step of that name.

A kind is a file that holds STEP, a StepKind. `import` is in import_.py, whose name ends in an underscore.
"""

from embedtune.errors import OptionsError, describe_unknown
from embedtune.pipeline.step_kind import StepKind
from embedtune.registry import Registry

__all__ = ["kind_names", "kind_summary", "load_kind"]

_KINDS = Registry(__name__, "kind of step")


def kind_names() -> list[str]:
    """Returns the kinds of steps, sorted."""
    return sorted(name.rstrip("-") for name in _KINDS.names())


def kind_summary(name: str) -> str:
    """Returns what a kind of step does, in a line."""
    return _KINDS.summary(_file(name))


def load_kind(name: str) -> StepKind:
    """Returns the kind of that name; raises OptionsError for an unknown one."""
    if name not in kind_names():
        raise OptionsError(describe_unknown("kind of step", name, kind_names()))
    kind: StepKind = _KINDS.load(_file(name)).STEP
    return kind


def _file(name: str) -> str:
    return name if name in _KINDS.names() else f"{name}-"
