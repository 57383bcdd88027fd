"""Which of several processes this one is, as torchrun and accelerate say it in the environment.

Nothing is imported or exchanged here; what processes do together is in train/together.py.
"""

from __future__ import annotations

import os
import time

from embedtune.errors import EmbedtuneError, ProcessError

__all__ = ["count", "is_writer", "let_others_speak_first", "on_this_machine", "rank"]

_MARK = "LOCAL_RANK"
_SECONDS_FOR_OTHERS = 3.0


def rank() -> int:
    """Returns this process's number among all, from 0."""
    return int(os.environ["RANK"]) if _MARK in os.environ else 0


def count() -> int:
    """Returns how many processes there are on all machines; 1 where nobody started several."""
    return int(os.environ["WORLD_SIZE"]) if _MARK in os.environ else 1


def on_this_machine() -> int:
    """Returns how many of them this machine runs."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if _MARK in os.environ else 1


def is_writer() -> bool:
    """Returns whether this is the one process that writes files, prints results and shows progress."""
    return rank() == 0


def let_others_speak_first(error: EmbedtuneError) -> None:
    """Returns at once where this process is the one to print an error, else after a while.

    A mistake that all processes find is printed by the writer, and the others are ended by who
    started them. What one of them alone finds is heard all the same, after the while. That a
    process is gone is said best by who started it, so all wait for that.
    """
    if not is_writer() or isinstance(error, ProcessError):
        time.sleep(_SECONDS_FOR_OTHERS if count() > 1 else 0)
