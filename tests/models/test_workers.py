from __future__ import annotations

import threading

import pytest
import torch

from embedtune.models.workers import in_threads


def test_every_job_comes_back_with_its_result():
    assert dict(in_threads(range(50), lambda job: job * 2, 3)) == {job: job * 2 for job in range(50)}
    assert list(in_threads(range(3), str, 1)) == [(0, "0"), (1, "1"), (2, "2")]
    assert list(in_threads([], str, 2)) == []


def test_each_worker_computes_on_one_thread_and_the_hosts_setting_is_restored():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen = {threads for _, threads in in_threads(range(20), lambda _: torch.get_num_threads(), 2)}
        assert seen == {1}
        assert torch.get_num_threads() == 2
        other = []
        thread = threading.Thread(target=lambda: other.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert other == [2]
    finally:
        torch.set_num_threads(before)


def test_a_workers_exception_is_raised_and_ends_the_others():
    def work(job):
        if job == 3:
            raise ZeroDivisionError("job 3")
        return job

    with pytest.raises(ZeroDivisionError, match="job 3"):
        list(in_threads(range(1000), work, 2))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("embedtune-")]


def test_stopping_early_ends_the_workers():
    results = in_threads(range(1000), str, 2)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("embedtune-")]
