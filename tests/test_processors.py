"""Not more is started at a time than this process may keep busy."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from brian_snn import processors
from brian_snn.backends import compiler

QUOTAS = {
    "version 2": ({"box/job/cpu.max": "150000 100000"}, "0::/box/job", 1.5),
    "version 2, the group around it": (
        {"box/job/cpu.max": "max 100000", "box/cpu.max": "400000 100000"},
        "0::/box/job",
        4,
    ),
    "version 2, seen from inside": ({"cpu.max": "200000 100000"}, "0::/docker/0123", 2),
    "version 1": ({"cpu/job/cpu.cfs_quota_us": "300000", "cpu/job/cpu.cfs_period_us": "100000"}, "4:cpu:/job", 3),
    "version 1, two controllers": (
        {"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
        "11:memory:/job\n4:cpu,cpuacct:/job",
        0.5,
    ),
    "version 1 without a limit": (
        {"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"},
        "4:cpu:/job",
        float("inf"),
    ),
    "of memory only": ({"memory/job/cpu.max": "100000 100000"}, "4:memory:/job", float("inf")),
    "no groups": ({}, "", float("inf")),
    "not understood": ({"cpu.max": "many 100000"}, "0::/", float("inf")),
}


@pytest.mark.parametrize(("files", "membership", "expected"), QUOTAS.values(), ids=QUOTAS)
def test_the_quota_is_that_of_the_control_groups(tmp_path, files, membership, expected):
    (tmp_path / "cgroup").write_text(membership)
    for name, text in files.items():
        (tmp_path / "mount" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mount" / name).write_text(text + "\n")
    assert processors._quota(tmp_path / "cgroup", tmp_path / "mount") == expected


@pytest.mark.parametrize(("bound", "quota", "expected"), [(2, float("inf"), 2), (8, 1.5, 2), (3, 0.2, 1), (3, 9.0, 3)])
def test_the_tightest_limit_counts(monkeypatch, bound, quota, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(bound)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(processors, "_quota", lambda *_: quota)
    assert processors.usable_processors() == expected


def test_as_many_compilers_run_as_there_are_processors_for_them(monkeypatch, tmp_path):
    pools = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, n_threads):
            pools.append(n_threads)
            super().__init__(n_threads)

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(compiler, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(compiler, "_run", lambda command, _: (tmp_path / command[-1]).touch())
    compiler.compile_project(tmp_path, ("g++",))
    assert pools == [1]


def test_nothing_asks_how_many_processors_the_machine_has():
    root = Path(processors.__file__).parent.parent
    asking = {
        path.relative_to(root).as_posix()
        for folder in ("brian_snn", "experiments", "figures")
        for path in (root / folder).rglob("*.py")
        if "cpu_count" in path.read_text("utf-8")
    }
    assert asking == {"brian_snn/processors.py"}
