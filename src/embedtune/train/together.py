"""What the processes of one training do together: divide texts, gather vectors, add up gradients, wait for the writer.

Each does the same training with the same batches. Of a batch it embeds its share of the texts;
the vectors of all are gathered, so everyone computes the whole batch's loss, and the gradients of
the shares add up to those of one process. Where there is one process nothing here does anything.
Sending and waiting are torch.distributed's, set up by accelerate.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from accelerate import PartialState
from sentence_transformers.util import all_gather
from torch import Tensor

from embedtune import processes
from embedtune.errors import EmbedtuneError, OptionsError, ProcessError
from embedtune.models.forward import is_out_of_memory
from embedtune.models.machine import usable_cores
from embedtune.models.sentence_transformer import choose_device

__all__ = [
    "Share",
    "add_up_gradients",
    "anywhere",
    "join",
    "leave",
    "lost_processes_named",
    "on_writer",
    "same_everywhere",
    "same_fate",
]

_LONGEST_WAIT = timedelta(days=30)
"""For the writer to validate or to judge; a process that dies is noticed at once all the same."""
_SECONDS_BETWEEN_LOOKS = 1.0

Found = TypeVar("Found")


def join(device_name: str) -> None:
    """Meets the other processes, each with a GPU of its own or its part of the cores; later calls do nothing.

    Raises OptionsError where they can't share the device, ProcessError where they don't come.
    """
    if processes.count() == 1 or dist.is_initialized():
        return
    device, local = choose_device(device_name), processes.on_this_machine()
    if device.type == "mps" or ":" in device_name:
        raise OptionsError(
            f"{processes.count()} processes can't train on the one device {device}",
            remedy="use --device cuda, of which each process takes one, or --device cpu",
        )
    if device.type == "cuda" and local > torch.cuda.device_count():
        raise OptionsError(
            f"{local} processes were started on a machine with {torch.cuda.device_count()} GPUs, and each needs one",
            remedy="start as many processes as there are GPUs, or use --device cpu",
        )
    if "TORCHELASTIC_RUN_ID" in os.environ:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if device.type == "cpu" and os.environ.get("OMP_NUM_THREADS", "1") == "1":  # torchrun sets 1 where nobody chose
        torch.set_num_threads(max(1, usable_cores() // local))
    with lost_processes_named():
        PartialState(cpu=device.type == "cpu")
        _messages()


def _end_with(parent: int) -> None:
    """Ends this process when the one that started it is gone, which else would leave a training that nobody stops."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)


def leave() -> None:
    """Parts from the other processes, after which nothing can be done together."""
    if processes.count() > 1 and dist.is_initialized():
        dist.destroy_process_group()
        _messages.cache_clear()


@cache
def _messages() -> dist.ProcessGroup:
    """Returns the group for small things; on the CPU, so that waiting in it keeps no GPU waiting."""
    group: dist.ProcessGroup = dist.new_group(backend="gloo", timeout=_LONGEST_WAIT)
    return group


@contextmanager
def lost_processes_named() -> Iterator[None]:
    """Raises ProcessError for what PyTorch says in the block where another process is gone."""
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, dist.DistError) or "gloo" in str(error)
        if not lost or processes.count() == 1:
            raise
        raise ProcessError(
            f"process {processes.rank()} of {processes.count()} lost another one: {str(error).splitlines()[0]}",
            remedy="see what the other one said; the same command goes on from the last checkpoint",
        ) from error


def on_writer(work: Callable[[], Found]) -> Found:
    """Returns on every process what `work` gives on the writer, and raises its EmbedtuneError on every one.

    The others wait, however long it takes.
    """
    if processes.count() == 1:
        return work()
    result: list[Any] = [None]
    if processes.is_writer():
        try:
            result = [work()]
        except EmbedtuneError as error:
            result = [error]
    dist.broadcast_object_list(result, src=0, group=_messages())
    if isinstance(result[0], EmbedtuneError):
        raise result[0]
    found: Found = result[0]
    return found


def same_everywhere(found: str) -> str:
    """Returns what this process found, once it is known that all found the same; raises ProcessError else."""
    if on_writer(lambda: found) != found:
        raise ProcessError(
            f"process {processes.rank()} of {processes.count()} has other data, another base model, other options or "
            "other versions of packages than process 0",
            remedy="give every machine the same files, command and packages",
        )
    return found


def anywhere(here: bool) -> bool:
    """Returns whether it is so on any process."""
    if processes.count() == 1:
        return here
    flag = torch.tensor(int(here))
    dist.all_reduce(flag, dist.ReduceOp.MAX, group=_messages())
    return bool(flag)


@contextmanager
def same_fate() -> Iterator[None]:
    """Raises MemoryError on every process where memory ran out in the block on any of them."""
    own: Exception | None = None
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        own = error
    if anywhere(own is not None):
        raise own or MemoryError("out of memory in another process")


@dataclass(frozen=True)
class Share:
    """The texts of a batch that this process embeds, and how the vectors of all come into the batch's order.

    `rows` are those of the gathered vectors, text by text; None where there is one process.
    """

    texts: list[str]
    rows: list[int] | None = None

    @classmethod
    def of(cls, texts: Sequence[str]) -> Share:
        """Returns this process's share of a batch that has at least one text."""
        if processes.count() == 1:
            return cls(list(texts))
        return cls.deal(texts, processes.count(), processes.rank())

    @classmethod
    def deal(cls, texts: Sequence[str], count: int, rank: int) -> Share:
        """Returns the share of process `rank` of `count`: every n-th text, the longest first, so that work is even.

        All have as many; where the texts don't suffice, the shortest is embedded again and its vector not used.
        """
        order = sorted(range(len(texts)), key=lambda position: -len(texts[position]))
        each = -(-len(order) // count)
        dealt = order + order[-1:] * (count * each - len(order))
        row_of = {position: place % count * each + place // count for place, position in enumerate(order)}
        return cls([texts[position] for position in dealt[rank::count]], [row_of[p] for p in range(len(texts))])

    def gather(self, vectors: Tensor) -> Tensor:
        """Returns (texts of the batch, dim) from the vectors of each process's share; gradients reach the own ones.

        Every process comes here as often, in the same order.
        """
        return vectors if self.rows is None else all_gather(vectors.contiguous())[self.rows]


def add_up_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Puts in the place of each gradient the sum over all processes."""
    if processes.count() == 1:
        return
    sent = [dist.all_reduce(p.grad, async_op=True) for p in parameters if p.grad is not None]
    for one in sent:
        one.wait()
