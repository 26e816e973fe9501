"""Run the shards of a simulation: in this process, in processes side by side, or on a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.backends.build_cache import get_build
from brian_snn.backends.runtime import run_runtime
from brian_snn.backends.standalone import run_standalone
from brian_snn.checks import whole_number
from brian_snn.errors import SettingError
from brian_snn.results.arrays import Shard
from brian_snn.results.result import Result
from brian_snn.running.callbacks import Progress, marked
from brian_snn.running.cluster import n_threads, require_client, run_on_cluster
from brian_snn.simulation.job import Job, run_inputs, shard_result


@dataclass(frozen=True)
class Execution:
    """How a simulation is run: by how many processes, or on which cluster. Nothing here changes its result.

    Parameters
    ----------
    workers : int
        Processes side by side.
    shard_size : int, optional
        Images simulated at a time by one of them; by default some 64 MB worth.
    client : dask.distributed.Client, optional
        Cluster whose workers take the place of the processes.
    progress, build_progress : callable, optional
        Called with (done, total) images, and (done, total) files compiled on this machine.

    Raises
    ------
    SettingError
        If a number is outside its range, or `client` is something else.
    """

    workers: int = 1
    shard_size: int | None = None
    client: Any = None
    progress: Progress | None = None
    build_progress: Progress | None = None

    def __post_init__(self) -> None:
        """Check the numbers and the client."""
        object.__setattr__(self, "workers", whole_number("workers", self.workers, 1))
        if self.shard_size is not None:
            object.__setattr__(self, "shard_size", whole_number("shard_size", self.shard_size, 1))
        if self.client is not None:
            require_client(self.client)

    def showing(self, progress: Progress, build_progress: Progress) -> Execution:
        """Return the same with other callbacks."""
        return replace(self, progress=progress, build_progress=build_progress)

    @property
    def parallel(self) -> int:
        """Number of shards that can be simulated at the same time."""
        return self.workers if self.client is None else max(1, n_threads(self.client))


def execute(
    job: Job, images: NDArray[np.generic], shards: Sequence[Shard], execution: Execution, laps_s: dict[str, float]
) -> Generator[tuple[Shard, Result], None, None]:
    """Simulate shards of the images and yield each as it is done, in no particular order.

    Parameters
    ----------
    images : (n_images, *input_shape) array
        All images of the simulation, checked.
    shards : sequence of range
        Those to simulate; what is missing of the images counts as done already.
    laps_s : dict of str to float
        Filled with the seconds spent in ``find_build`` or, for a new one, ``compile``, and in ``run``.

    Raises
    ------
    CallbackError
        If a callback raised something; for `brian_snn.running.callbacks.raised_as_they_are`.
    """
    done = len(images) - sum(map(len, shards))
    progress = marked(execution.progress)

    def on_images(n_more: int = 1) -> None:
        nonlocal done
        done += n_more
        if progress:
            progress(done, len(images))

    laps_s["run"] = 0.0
    if not shards:
        return
    start = time.perf_counter()
    if job.settings.backend == "runtime":
        if execution.client is not None:
            raise SettingError("the runtime backend runs in this process; a cluster needs backend='standalone'.")
        work = _in_process(job, images, shards, on_images)
    elif execution.client is not None:
        work = run_on_cluster(execution.client, job, images, shards, on_images)
    else:
        build = get_build(job.layout, marked(execution.build_progress))
        laps_s["compile" if build.is_new else "find_build"] = time.perf_counter() - start
        start = time.perf_counter()
        work = run_standalone(build, job, images, shards, execution.workers, on_images)
    if progress and done:
        progress(done, len(images))
    try:
        yield from work
    finally:
        # An interrupted run has taken its time too.
        laps_s["run"] = time.perf_counter() - start


def _in_process(
    job: Job, images: NDArray[np.generic], shards: Sequence[Shard], on_image: Callable[[], None]
) -> Iterator[tuple[Shard, Result]]:
    """Run shards with Brian2's runtime device."""
    for shard in shards:
        piece = images[shard.start : shard.stop]
        inputs = run_inputs(job, piece, shard.start)
        outputs = run_runtime(job.layout, job.plan, job.constants, inputs, on_image)
        yield shard, shard_result(job, piece, outputs, shard.start)
