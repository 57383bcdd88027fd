"""Work on several cores: one thread a core, each computing alone.

Threads of one operation wait for the slowest of them, so a neighbour on one core slows all;
workers that each take the next batch don't, and they share the weights.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

import torch

__all__ = ["in_threads"]

Job = TypeVar("Job")
Result = TypeVar("Result")


class _Outcome(NamedTuple, Generic[Job, Result]):
    job: Job | None
    result: Result | None
    error: BaseException | None


def in_threads(jobs: Iterable[Job], work: Callable[[Job], Result], workers: int) -> Iterator[tuple[Job, Result]]:
    """Yields each job with its result, as they are done; jobs are taken in order.

    With more than one worker PyTorch computes on one thread in each; the host program's own
    setting is put back at the end. A worker's exception stops the others and is raised here.
    """
    if workers <= 1:
        yield from ((job, work(job)) for job in jobs)
        return
    waiting, lock, done = iter(jobs), threading.Lock(), queue.Queue[_Outcome[Job, Result]]()
    stopped = threading.Event()

    def run() -> None:
        torch.set_num_threads(1)
        try:
            while not stopped.is_set():
                with lock:
                    job = next(waiting, _NO_JOB)
                if job is _NO_JOB:
                    break
                done.put(_Outcome(job, work(job), None))  # type: ignore[arg-type]
        except BaseException as error:  # noqa: BLE001 - raised again where the results are read
            done.put(_Outcome(None, None, error))
        else:
            done.put(_Outcome(None, None, None))

    host_threads = torch.get_num_threads()
    threads = [threading.Thread(target=run, name=f"embedtune-{number}", daemon=True) for number in range(workers)]
    try:
        for thread in threads:
            thread.start()
        running = len(threads)
        while running:
            outcome = done.get()
            if outcome.error is not None:
                raise outcome.error
            if outcome.job is None:
                running -= 1
            else:
                yield outcome.job, outcome.result  # type: ignore[misc]
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
        torch.set_num_threads(host_threads)


_NO_JOB = object()
