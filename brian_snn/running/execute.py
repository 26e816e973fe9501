"""Run the shards of a simulation: in this process, in processes side by side, or by an executor."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brian_snn.backends.build_cache import get_build
from brian_snn.backends.runtime import run_runtime
from brian_snn.backends.standalone import run_standalone
from brian_snn.errors import SettingError
from brian_snn.progress import Progress, bar
from brian_snn.results.arrays import Shard
from brian_snn.results.result import Result
from brian_snn.running.callbacks import marked
from brian_snn.running.executors import n_places, run_by_executor
from brian_snn.settings import Execution
from brian_snn.simulation.job import Job, run_inputs, shard_result


def n_parallel(execution: Execution) -> int:
    """Return the number of shards that can be simulated at the same time."""
    return execution.workers if execution.executor is None else n_places(execution.executor, execution.workers)


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
    progress: Progress | None = None

    def on_images(n_more: int = 1) -> None:
        nonlocal done
        done += n_more
        if progress:
            progress(done, len(images))

    laps_s["run"] = 0.0
    if not shards:
        return
    done_shards = BACKENDS[job.settings.backend](Work(job, images, shards, execution, on_images, laps_s))
    start = time.perf_counter()
    # Not before the program is compiled, which has a bar of its own.
    with bar(execution.progress, "simulate", "images") as shown:
        progress = marked(shown)
        if progress and done:
            progress(done, len(images))
        try:
            yield from done_shards
        finally:
            # An interrupted run has taken its time too.
            laps_s["run"] = time.perf_counter() - start


@dataclass(frozen=True, eq=False)
class Work:
    """What a backend is given: a job with its images, the shards to simulate, and in which way.

    Parameters
    ----------
    on_images : callable
        Called with the number of images that are done, one by default.
    laps_s : dict of str to float
        Filled with the seconds that stages before the run take.
    """

    job: Job
    images: NDArray[np.generic]
    shards: Sequence[Shard]
    execution: Execution
    on_images: Callable[..., None]
    laps_s: dict[str, float]


def _runtime(work: Work) -> Iterator[tuple[Shard, Result]]:
    """Return the shards, run one after the other with Brian2's runtime device."""
    if work.execution.executor is not None:
        raise SettingError("the runtime backend runs in this process; an executor needs backend='standalone'.")

    def run(shard: Shard) -> tuple[Shard, Result]:
        piece = work.images[shard.start : shard.stop]
        inputs = run_inputs(work.job, piece, shard.start)
        outputs = run_runtime(work.job.layout, work.job.plan, work.job.constants, inputs, work.on_images)
        return shard, shard_result(work.job, piece, outputs, shard.start)

    return map(run, work.shards)


def _standalone(work: Work) -> Iterator[tuple[Shard, Result]]:
    """Return the shards, run by compiled programs here or by the executor's workers."""
    execution = work.execution
    if execution.executor is not None:
        return run_by_executor(
            *(execution.executor, work.job, work.images, work.shards),
            *(execution.workers, work.on_images, execution.threads),
        )
    start = time.perf_counter()
    # Whoever shows the images by themselves is shown no bar of files.
    show = False if callable(execution.progress) else execution.progress
    with bar(execution.build_progress or show, "compile", "files") as shown:
        build = get_build(work.job.layout, marked(shown))
    work.laps_s["compile" if build.is_new else "find_build"] = time.perf_counter() - start
    return run_standalone(
        build, work.job, work.images, work.shards, execution.workers, work.on_images, execution.threads
    )


#: How work is done. Each yields a shard and its result as it is done, in any order.
BACKENDS: dict[str, Callable[[Work], Iterator[tuple[Shard, Result]]]] = {
    "runtime": _runtime,
    "standalone": _standalone,
}
