from __future__ import annotations

import psutil
import pytest
import torch

from embedtune.models import machine
from embedtune.models.machine import describe_machine
from embedtune.models.packed.kernels import compiled_kernels


def test_this_machine():
    found = describe_machine()
    assert found.cores >= 1
    assert found.threads == torch.get_num_threads()
    assert 0 < found.free_bytes <= found.total_bytes <= psutil.virtual_memory().total
    assert found.cpu
    assert (found.no_kernels == "") == (compiled_kernels() is not None)
    if found.device == "cpu":
        assert found.precision == ("bfloat16" if found.abilities["bfloat16"] else "float32")
    assert len(found.gpus) == (torch.cuda.device_count() if torch.cuda.is_available() else 0)


@pytest.fixture
def cgroup(tmp_path):
    (tmp_path / "memory.max").write_text("1000000\n", encoding="ascii")
    (tmp_path / "memory.current").write_text("400000\n", encoding="ascii")
    (tmp_path / "cpu.max").write_text("50000 100000\n", encoding="ascii")
    return tmp_path


def test_a_containers_limits_go_before_the_machines(cgroup):
    assert machine._memory(cgroup) == (1_000_000, 600_000)
    assert machine._cores(cgroup) == 1  # half a core is one


def test_no_limit_is_the_machine(cgroup, tmp_path):
    (cgroup / "memory.max").write_text("max\n", encoding="ascii")
    (cgroup / "cpu.max").write_text("max 100000\n", encoding="ascii")
    total = psutil.virtual_memory().total
    assert machine._memory(cgroup)[0] == machine._memory(tmp_path / "none")[0] == total
    assert machine._cores(cgroup) == machine._cores(tmp_path / "none")
