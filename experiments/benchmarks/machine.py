"""On what a result was measured, and how busy other programs kept it meanwhile."""

from __future__ import annotations

import os
import platform
import resource
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from brian_snn.processors import usable_processors


def description(params: dict[str, Any]) -> dict[str, Any]:
    """Return versions, machine and parameters, which go with every result."""
    names = ("numpy", "keras", "tensorflow", "brian2")
    versions = {"python": platform.python_version()} | {name: version(name) for name in names}
    machine = {"processor": processor(), "cores": usable_processors()}
    return {"machine": machine, "versions": versions, "params": params}


def processor() -> str:
    """Return the name of the processor, as far as the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


class Stopwatch:
    """The time since it was made, and how many cores other programs kept busy in it."""

    def __init__(self) -> None:
        """Start."""
        self._start = time.perf_counter(), _busy_seconds() - _own_seconds()

    def read(self) -> dict[str, float]:
        """Return ``minutes`` and ``other_load``, in cores."""
        seconds = time.perf_counter() - self._start[0]
        others = _busy_seconds() - _own_seconds() - self._start[1]
        return {"minutes": round(seconds / 60, 1), "other_load": round(max(0.0, others / seconds), 2)}


def _busy_seconds() -> float:
    """Return the time that all cores together have worked since the machine started."""
    user, nice, system, _, _, interrupts, soft_interrupts, stolen, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + interrupts + soft_interrupts + stolen) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    """Return the processor time of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
