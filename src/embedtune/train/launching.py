"""Starts a training in several processes on this machine, by PyTorch's torchrun."""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Mapping, Sequence

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from embedtune.errors import ProcessError
from embedtune.models.machine import usable_cores

__all__ = ["launch"]

_NOISY = "torch.distributed.elastic.multiprocessing.api"
_MISTAKE, _STOPPED = 2, 130
"""Exit statuses of processes that have said why they end."""


def launch(count: int, words: Sequence[str]) -> int:
    """Runs `embedtune WORDS` in `count` processes, the cores divided among them, and returns their exit status.

    Where one ends early so do the others. Raises ProcessError where one was killed or broke down.
    """
    logging.getLogger(_NOISY).setLevel(logging.CRITICAL)  # what it says of a process that died is said below
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // count)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-P", "-m", "embedtune", *words)
    except ChildFailedError as error:
        return _status_of(error.failures, count)
    except SignalException as stopped:
        return _STOPPED if stopped.sigval == signal.SIGINT else 128 + stopped.sigval
    return 0


def _status_of(failures: Mapping[int, ProcessFailure], count: int) -> int:
    """Returns the exit status of a process that has said why; raises ProcessError where none has.

    SIGTERM is what the others are ended by.
    """
    remedy = "the same command goes on from the last checkpoint"
    every = {rank: failure.exitcode for rank, failure in sorted(failures.items())}
    causes = {rank: status for rank, status in every.items() if status != -signal.SIGTERM} or every
    for rank, status in causes.items():
        if status < 0:
            killer = signal.Signals(-status).name
            reason = "; the system does so where memory runs out" if killer == "SIGKILL" else ""
            raise ProcessError(f"process {rank} of {count} was killed by {killer}{reason}", remedy=remedy)
    for status in (_MISTAKE, _STOPPED):
        if status in causes.values():
            return status
    rank, status = next(iter(causes.items()))
    raise ProcessError(f"process {rank} of {count} ended with status {status}; what it said is above", remedy=remedy)
