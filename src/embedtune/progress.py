"""Progress bars on stderr: silent in a library, bars in a terminal, lines in a log.

Nothing is shown until the host program asks for it (`with shown():`), so importing
embedtune into a service prints nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["ProgressTask", "hidden", "left_to_others", "say", "shown", "task"]

_SECONDS_BETWEEN_LINES = 15.0
_SECONDS_WORTH_A_LINE = 1.0
_HOUR = 3600


class _Display:
    """Where progress goes: a live bar in a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.bars: Progress | None = None
        if self.console.is_terminal:
            self.bars = Progress(
                TextColumn("{task.description:<28}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
                redirect_stdout=False,  # stdout is the result, also where stderr is a terminal
                redirect_stderr=False,
            )


_display: ContextVar[_Display | None] = ContextVar("embedtune_progress", default=None)


@contextmanager
def shown() -> Iterator[None]:
    """Shows progress and messages on stderr while the block runs."""
    display = _Display()
    token = _display.set(display)
    try:
        if display.bars is None:
            yield
        else:
            with display.bars:
                yield
    finally:
        _display.reset(token)


@contextmanager
def hidden() -> Iterator[None]:
    """Shows nothing while the block runs, so that what is timed draws no bars."""
    token = _display.set(None)
    try:
        yield
    finally:
        _display.reset(token)


def say(message: str) -> None:
    """Prints one line of words to stderr where progress is shown; else does nothing."""
    display = _display.get()
    if display is not None:
        display.console.print(message, markup=False)


@contextmanager
def left_to_others() -> Iterator[None]:
    """Leaves the terminal to other processes, which show their own progress there, while the block runs."""
    display = _display.get()
    if display is None or display.bars is None:
        yield
        return
    display.bars.stop()
    try:
        yield
    finally:
        display.bars.start()


class ProgressTask:
    """One piece of long work with a known total."""

    def __init__(self, display: _Display | None, label: str, total: int) -> None:
        self._display = display
        self._label = label
        self._total = total
        self._done = self._done_before = 0
        self._started = self._last_line = time.monotonic()
        self._bar: TaskID | None = None
        if display is not None and display.bars is not None:
            self._bar = display.bars.add_task(label, total=total)

    def advance(self, count: int = 1, note: str = "") -> None:
        """Counts `count` more items as done; `note` stands beside the count until the next one."""
        self._done += count
        if self._display is None:
            return
        if self._display.bars is not None and self._bar is not None:
            shown = f"{self._label}: {note}" if note else self._label
            self._display.bars.update(self._bar, completed=self._done, description=shown)
        elif time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            say(f"{self._label}: {self._done}/{self._total}{', ' if note else ''}{note}{self._left()}")

    def resume(self, done: int) -> None:
        """Counts what an earlier run did; it took no time of this one."""
        self._done = self._done_before = done
        if self._display is not None and self._display.bars is not None and self._bar is not None:
            self._display.bars.reset(self._bar, completed=done)

    def _left(self) -> str:
        """Returns the time left as words, from the speed so far."""
        fresh = self._done - self._done_before
        if fresh <= 0 or self._done >= self._total:
            return ""
        seconds = int((time.monotonic() - self._started) / fresh * (self._total - self._done))
        minutes = f"{seconds // 60}" if seconds < _HOUR else f"{seconds // _HOUR}:{seconds % _HOUR // 60:02d}"
        return f", {minutes}:{seconds % 60:02d} left"

    def close(self) -> None:
        """Ends the task: its bar goes, and if it took long a line with its time stays."""
        if self._display is None:
            return
        if self._display.bars is not None and self._bar is not None:
            self._display.bars.remove_task(self._bar)
        seconds = time.monotonic() - self._started
        if seconds > _SECONDS_WORTH_A_LINE:
            say(f"{self._label}: {self._done}/{self._total} in {seconds:.1f} s")


@contextmanager
def task(label: str, total: int) -> Iterator[ProgressTask]:
    """Yields a task to advance; nothing is shown for a total of 0."""
    current = ProgressTask(_display.get() if total else None, label, total)
    try:
        yield current
    finally:
        current.close()
        sys.stderr.flush()
