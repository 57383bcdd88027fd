"""Numbered work done by several threads at once, its results in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from itertools import count as numbers
from typing import TypeVar

__all__ = ["in_order"]

Result = TypeVar("Result")


def in_order(total: int, work: Callable[[int], Result], threads: int, stopped: threading.Event) -> Generator[Result]:
    """Yields work(0) … work(total - 1), at most `threads` of them under way at once.

    The first exception of any of them is raised at once. Leaving the iterator sets `stopped`, after
    which nothing new is begun; the threads are daemons, so a process can end while they wait.
    """
    done: dict[int, Result] = {}
    faults: list[BaseException] = []
    changed = threading.Condition()
    upcoming = iter(numbers())

    def run() -> None:
        while not stopped.is_set():
            with changed:
                number = next(upcoming)
            if number >= total:
                return
            try:
                result = work(number)
            except BaseException as fault:  # noqa: BLE001  # it is raised again in the thread that waits
                with changed:
                    faults.append(fault)
                    changed.notify_all()
                return
            with changed:
                done[number] = result
                changed.notify_all()

    try:
        for _ in range(min(threads, total)):
            threading.Thread(target=run, daemon=True).start()
        for number in range(total):
            with changed:
                while number not in done and not faults:
                    changed.wait()
                if faults:
                    raise faults[0]
                result = done.pop(number)
            yield result
    finally:
        stopped.set()
