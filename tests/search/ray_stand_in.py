"""Ray's part done in this process, so that ours is tested in milliseconds; test_ray_cluster.py has the real one."""

from __future__ import annotations

import numpy as np


def do_here(jobs, work, workers, arguments):
    """Yields what `work` makes of each job, the last job first: the order of results isn't promised."""
    one = work(**arguments) if isinstance(work, type) else lambda batch: work(batch, **arguments)
    for job in reversed(jobs):
        row = one({name: np.array([value]) for name, value in job.items()})
        yield {name: values[0] for name, values in row.items()}


def stand_in(monkeypatch, workers=2):
    from embedtune.search import ray_workers
    from embedtune.search.engines import ray as engine
    from embedtune.search.ray_cluster import Workers

    monkeypatch.setattr(engine, "connect", lambda: None)
    monkeypatch.setattr(engine, "workers_of", lambda options, on_gpus: Workers(workers, 1, 0))
    monkeypatch.setattr(engine, "on_workers", do_here)
    for module in (engine, ray_workers):
        monkeypatch.setattr(module.ray, "put", lambda value: value)
        monkeypatch.setattr(module.ray, "get", lambda value: value)
