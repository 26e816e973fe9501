"""Time a simulation in every way to run it, and check that none of them changes a spike.

Every way is called once uncounted, which compiles, warms up and shows how much memory it takes. The rounds that count
go through all ways in turn, so that a machine that is slow for a while is so for all of them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from brian_snn.arrays import FloatArray
from brian_snn.backends.build_cache import cache_folder
from brian_snn.cli.console import Stages
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT
from brian_snn.network.synapses import n_synapses
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution, FloatType, ProjectionMode, Recording, Settings
from brian_snn.simulation.job import cut, make_job, run_inputs

#: Networks of more synapses are timed with shared kernels only: explicit ones would take more than half a gigabyte.
EXPLICIT_LIMIT = 10_000_000


@dataclass(frozen=True, eq=False)
class Workload:
    """What is simulated: a network as `make_job` completes it, its name, images, and the settings of all ways."""

    name: str
    network: Network
    images: FloatArray
    settings: Settings


@dataclass(frozen=True)
class Configuration:
    """One way to simulate a workload."""

    projection: ProjectionMode
    float_type: FloatType
    workers: int

    def __str__(self) -> str:
        """Return its name among the others."""
        return f"{self.projection}, {self.float_type}, workers {self.workers}"


@dataclass(frozen=True)
class Call:
    """One simulation of all images.

    Parameters
    ----------
    run_s : float
        Seconds in which processes start, take their weights, simulate, and their records are read.
    compile_s : float or None
        Seconds of the compiler; None for a build found in the cache.
    events : int
        Synaptic events of all images together.
    counts_sha256 : str
        Hash of all spike counts.
    peak_mb : float or None
        Largest peak memory of a compiled process; None if nobody looked, or if the system does not tell.
    """

    run_s: float
    compile_s: float | None
    events: int
    counts_sha256: str
    peak_mb: float | None = None


def configurations(console: Console, workload: Workload, workers: Sequence[int]) -> Iterator[Configuration]:
    """Yield every way to simulate that the network allows, and say what is left out and why."""
    projections: tuple[ProjectionMode, ...] = ("synapses", "shared")
    float_types: tuple[FloatType, ...] = ("float64", "float32")
    n_explicit = sum(n_synapses(workload.network, p) for p in workload.network.projections if p.source != INPUT)
    if n_explicit > EXPLICIT_LIMIT:
        console.print(f"no rows for explicit synapses: the network has {n_explicit:,}, more than {EXPLICIT_LIMIT:,}")
        projections = ("shared",)
    try:
        _require_float32(workload)
    except SettingError as error:
        console.print(f"no rows for float32: {error}")
        float_types = ("float64",)
    yield from itertools.starmap(Configuration, itertools.product(projections, float_types, workers))


def _require_float32(workload: Workload) -> None:
    """Raise a SettingError, before anything is compiled, unless float32 is exact for all images."""
    job = make_job(workload.network, replace(workload.settings, float_type="float32"), Recording())
    for shard in cut(job, len(workload.images), workers=1):
        run_inputs(job, workload.images[shard.start : shard.stop], shard.start)


def measure(
    console: Console, workload: Workload, ways: Sequence[Configuration], rounds: int
) -> dict[Configuration, list[Call]]:
    """Return the calls of every configuration: the one that does not count, then one for each round."""
    with Stages(console) as stages:
        calls = {way: [_first_call(stages, workload, way)] for way in ways}
    seconds = rounds * sum(call.run_s for (call,) in calls.values())
    # The thread that draws a progress bar would take its share of the cores that are measured.
    console.print(f"measuring {rounds} round(s) in silence, for some {seconds:.1f} s")
    for _, way in itertools.product(range(rounds), ways):
        calls[way].append(_call(workload, way, Execution(way.workers)))
    return calls


def _first_call(stages: Stages, workload: Workload, way: Configuration) -> Call:
    """Simulate with progress bars, and look at the memory of the compiled processes before they end."""
    bars = stages.simulation(str(way), len(workload.images))
    peaks_mb: list[float] = []

    def ran(n_done: int, n_total: int) -> None:
        bars.ran(n_done, n_total)
        # Until the last records are read, all processes are there.
        if n_done == n_total:
            peaks_mb.extend(_peaks_mb())

    call = _call(workload, way, Execution(way.workers, progress=ran, build_progress=bars.built))
    bars.finish({"run": call.run_s, "compile": call.compile_s or 0.0})
    return replace(call, peak_mb=max(peaks_mb, default=None))


def _call(workload: Workload, way: Configuration, execution: Execution) -> Call:
    """Simulate all images in one way."""
    settings = replace(workload.settings, projection=way.projection, float_type=way.float_type)
    result = simulate(workload.network, workload.images, settings, **vars(execution))
    digest = hashlib.sha256()
    for counts in result.spike_counts.values():
        digest.update(counts.tobytes())
    seconds = result.timings_s
    return Call(seconds["run"], seconds.get("compile"), int(result.synaptic_events.sum()), digest.hexdigest())


def _peaks_mb() -> Iterator[float]:
    """Yield VmHWM of each compiled process that is running, in MB; nothing where there is no /proc."""
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text().split():
            process = Path("/proc", child)
            # A child may end between two looks.
            with suppress(OSError):
                if cache_folder().resolve() in (process / "exe").resolve().parents:
                    lines = (process / "status").read_text().splitlines()
                    yield from (int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))
