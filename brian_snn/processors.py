"""How many processors this process may use, which is not how many the machine has.

A job of a batch queue is bound to some of them, and a container is given a share of their time (a quota of its control
group): more processes than that wait for each other and take memory.
"""

from __future__ import annotations

import math
import os
from pathlib import Path


def usable_processors() -> int:
    """Return the number of processors that this process may keep busy, at least 1.

    The smallest of what the machine has, what the process is bound to (`os.sched_getaffinity`) and the quota of its
    control groups, of version 1 or 2, rounded up.
    """
    quota = _quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return max(1, math.ceil(min(_bound_to(), quota)))


def _bound_to() -> int:
    """Return the number of processors that the system lets this process run on."""
    # Only Linux tells.
    bound = getattr(os, "sched_getaffinity", None)
    return len(bound(0)) if bound else os.cpu_count() or 1


def _quota(membership: Path, mount: Path) -> float:
    """Return the processors' worth of time that the control groups of a process allow, infinite without a limit.

    Parameters
    ----------
    membership : Path
        Lines such as ``0::/group`` (version 2) or ``4:cpu,cpuacct:/group`` (version 1).
    mount : Path
        Where the control groups are mounted.
    """
    quota = math.inf
    for line in _text(membership).splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            roots = [mount, mount / "unified"]
        elif "cpu" in controllers.split(","):
            roots = [mount / controllers, mount / "cpu"]
        else:
            continue
        # The limit of a group holds for all groups in it. In a container the path may be that of the host, which is
        # not there; what is mounted is the container's own group then.
        place = Path(group.lstrip("/"))
        quota = min(quota, *(_limit(root / part) for root in roots for part in (place, *place.parents)))
    return quota


def _limit(group: Path) -> float:
    """Return the quota of one control group over its period."""
    words = _text(group / "cpu.max").split() or [
        word for name in ("quota", "period") for word in _text(group / f"cpu.cfs_{name}_us").split()
    ]
    # Without a limit the quota is "max" in version 2 and -1 in version 1.
    if len(words) != 2 or not all(word.isdecimal() for word in words) or "0" in words:
        return math.inf
    return int(words[0]) / int(words[1])


def _text(path: Path) -> str:
    """Return the content of a file of the system; nothing if there is none."""
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        return ""


def installed_processors() -> int:
    """Return how many processors the machine has, whoever may use them."""
    return os.cpu_count() or 1
