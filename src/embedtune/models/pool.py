"""An encoder on several processes or devices: order kept, weights shared, a dead worker replaced by the others."""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
import torch.multiprocessing as processes
from sentence_transformers import SentenceTransformer

from embedtune import progress
from embedtune.errors import EmbedtuneError, EncoderError
from embedtune.models.encoder import EncoderOptions, TextKind, Vectors
from embedtune.models.sentence_transformer import SentenceTransformerEncoder, choose_device, load_model
from embedtune.models.vector_map import take_query_map

__all__ = ["EncoderPool"]

_TEXTS_PER_JOB = 64
_DEATHS_PER_JOB = 2
_SECONDS_TO_LEAVE = 5.0


@dataclass
class _Worker:
    process: Any
    connection: Connection
    device: str
    job: list[int] = field(default_factory=list)


class EncoderPool:
    """Encodes in several processes, each on a device of its own or all on the CPU; follows Encoder.

    On the CPU the weights lie once in shared memory and every process computes on one thread. On
    GPUs each device holds a copy, loaded again by `name`. A batch whose worker dies is given to
    another; the pool goes on with those that are left. Close it, or use it in a `with` statement.
    """

    def __init__(self, model: SentenceTransformer, options: EncoderOptions, name: str) -> None:
        single = options.model_copy(update={"processes": 1})
        devices = options.device.split(",")
        devices *= max(1, -(-options.processes // len(devices)))
        for device in devices:
            choose_device(device)
        self._name = name
        first = single.model_copy(update={"device": devices[0]})
        self._encoder = SentenceTransformerEncoder(model, first, shareable=True)
        self._encoder.model.to("cpu")
        self._workers = [self._start(device, single) for device in devices]
        progress.say(f"{len(devices)} processes encode, on {', '.join(dict.fromkeys(devices))}")

    def _start(self, device: str, options: EncoderOptions) -> _Worker:
        context = processes.get_context("spawn")
        ours, theirs = context.Pipe()
        source: SentenceTransformerEncoder | tuple[str, EncoderOptions]
        if choose_device(device).type == "cpu":
            source = self._encoder.for_worker()
        else:
            source = (self._name, options.model_copy(update={"device": device}))
        process = context.Process(target=_serve, args=(theirs, source), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours, device)

    @property
    def dim(self) -> int:
        """Returns the length of one vector."""
        return self._encoder.dim

    @property
    def cache_key(self) -> dict[str, Any]:
        """Returns the single encoder's: how many processes compute changes no vector."""
        return self._encoder.cache_key

    def __str__(self) -> str:
        return f"{self._encoder} in {len(self._workers)} processes"

    def prompt(self, kind: TextKind) -> str:
        """Returns the text that is put before every query or document."""
        return self._encoder.prompt(kind)

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Returns each text's length in tokens before any cut."""
        return self._encoder.count_tokens(texts)

    def encode(self, texts: list[str], kind: TextKind) -> Vectors:
        """Returns (len(texts), dim) float32 in the order of the texts; see the Encoder protocol.

        Raises EncoderError where all workers died, or two died over the same texts.
        """
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]) if isinstance(texts[place], str) else 0)
        waiting = deque(order[start : start + _TEXTS_PER_JOB] for start in range(0, len(order), _TEXTS_PER_JOB))
        deaths: dict[int, int] = {}
        while waiting or any(worker.job for worker in self._workers):
            for worker in self._idle():
                if waiting:
                    self._give(worker, waiting.popleft(), texts, kind)
            for worker in self._answered():
                job, worker.job = worker.job, []
                answer = self._receive(worker)
                if isinstance(answer, EmbedtuneError):
                    self._finish()
                    raise answer
                if answer is not None:
                    vectors[job] = answer
                    continue
                deaths[job[0]] = deaths.get(job[0], 0) + 1
                self._bury(worker, texts[job[0]], deaths[job[0]])
                waiting.appendleft(job)
        self._encoder.say_loss(texts, kind, vectors)
        return vectors

    def _idle(self) -> list[_Worker]:
        return [worker for worker in self._workers if not worker.job]

    def _give(self, worker: _Worker, job: list[int], texts: list[str], kind: TextKind) -> None:
        worker.job = job
        with contextlib.suppress(OSError):  # a worker that died meanwhile is found when it should answer
            worker.connection.send(([texts[place] for place in job], kind))

    def _answered(self) -> list[_Worker]:
        busy = {worker.connection: worker for worker in self._workers if worker.job}
        return [busy[ready] for ready in wait(list(busy)) if isinstance(ready, Connection)]

    def _receive(self, worker: _Worker) -> Any:
        """Returns the vectors or the error of a worker's job, None where it died."""
        try:
            return worker.connection.recv()
        except (EOFError, OSError):
            return None

    def _bury(self, worker: _Worker, text: str, deaths: int) -> None:
        worker.process.join(_SECONDS_TO_LEAVE)
        worker.connection.close()
        self._workers.remove(worker)
        how = f"worker {worker.process.pid} on {worker.device} died (exit status {worker.process.exitcode})"
        remedy = "status -9 mostly means that memory ran out: use fewer --processes or fewer --tokens-per-batch"
        if not self._workers:
            raise EncoderError(f"{how}, and it was the last one", remedy=remedy)
        if deaths >= _DEATHS_PER_JOB:
            self._finish()
            raise EncoderError(f"{how}, the second one over the texts that begin with {text[:80]!r}", remedy=remedy)
        progress.say(f"warning: {how}; the {len(self._workers)} others go on with its texts")

    def _finish(self) -> None:
        """Takes in what is still being computed, so that the pool can be used again after an error."""
        for worker in [worker for worker in self._workers if worker.job]:
            self._receive(worker)
            worker.job = []

    def close(self) -> None:
        """Ends the workers."""
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.process.join(_SECONDS_TO_LEAVE)
            if worker.process.is_alive():
                worker.process.kill()
        self._workers = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _serve(connection: Connection, source: SentenceTransformerEncoder | tuple[str, EncoderOptions]) -> None:
    """Answers jobs until the pool closes the connection."""
    torch.set_num_threads(1)
    if isinstance(source, tuple):
        model = load_model(*source)
        take_query_map(model)  # the pool's owner applies it
        encoder = SentenceTransformerEncoder(model, source[1])
    else:
        encoder = source
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            texts, kind = connection.recv()
            try:
                answer: Vectors | EmbedtuneError = encoder.encode(texts, kind)
            except EmbedtuneError as error:
                answer = error
            connection.send(answer)
