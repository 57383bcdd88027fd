"""The Ray cluster: connecting to it, and a dataset of jobs mapped over its workers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy
from ray.data.exceptions import ExecutionTimeoutError

from embedtune import progress
from embedtune.errors import EncoderError, OptionsError, StorageError
from embedtune.search.engine_options import EngineOptions

__all__ = ["Workers", "connect", "on_workers", "workers_of"]

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anybody
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class Workers(NamedTuple):
    """How many workers there may be at once, and what each takes of the cluster."""

    most: int
    cores: int
    gpus: int


def connect() -> None:
    """Connects to the cluster at $RAY_ADDRESS, or starts one here; a program that has connected stays so.

    Raises StorageError where the cluster doesn't answer or refuses.
    """
    if ray.is_initialized():
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    address = os.environ.get("RAY_ADDRESS") or "local"
    started: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    progress.say(f"Ray: {'starting on this machine' if started else f'connecting to {address}'}")
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **started)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise StorageError(
            f"the Ray cluster can't be joined: {str(error.__cause__ or error).partition(chr(10))[0]}",
            where=f"RAY_ADDRESS={address}",
            remedy="start one with ray start --head (its token, where it asks for one, goes where Ray's documentation "
            "says), or unset RAY_ADDRESS to use this machine alone",
        ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def workers_of(options: EngineOptions, *, on_gpus: bool) -> Workers:
    """Returns the workers that the cluster has room for, or that were asked for."""
    there = ray.cluster_resources()
    cores, gpus = int(there.get("CPU", 0)), int(there.get("GPU", 0))
    if cores < options.cores_per_worker:
        raise OptionsError(
            f"a worker is to have {options.cores_per_worker} cores, and the whole cluster has {cores}",
            remedy="give fewer --cores-per-worker",
        )
    room = cores // options.cores_per_worker
    room = min(room, gpus) if on_gpus and gpus else room
    return Workers(options.workers or max(1, room), options.cores_per_worker, int(on_gpus and gpus > 0))


def on_workers(
    jobs: Sequence[Mapping[str, Any]], work: Callable[..., Any], workers: Workers, arguments: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yields what the workers return for each job, as it is done; a class is constructed once a worker.

    Where a worker dies another does its job. Raises EncoderError where that leads nowhere for
    long (DataContext.execution_no_progress_timeout_s), as with a job that kills every worker.
    """
    if not jobs:
        return
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    with DataContext.current(context):
        dataset = ray.data.from_items([dict(job) for job in jobs], override_num_blocks=len(jobs))
        room: dict[str, Any] = {"num_cpus": workers.cores, "num_gpus": workers.gpus}
        if isinstance(work, type):
            pool = ActorPoolStrategy(size=workers.most)
            given = {"compute": pool, "fn_constructor_kwargs": dict(arguments)}
        else:
            given = {"compute": TaskPoolStrategy(workers.most), "fn_kwargs": dict(arguments)}
        done = dataset.map_batches(work, batch_size=1, **room, **given)
    try:
        yield from done.iter_rows()
    except (ray.exceptions.RayError, ExecutionTimeoutError) as error:
        raise EncoderError(
            f"Ray gave up: {str(error).strip().partition(chr(10))[0]}",
            remedy="a worker that dies again and again mostly has too little memory: use fewer --block-documents "
            "or --tokens-per-batch; what is finished is kept, and a rerun goes on",
        ) from error
