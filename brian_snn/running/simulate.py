"""`simulate` and `stream`: from a converted network and images to a `Result`, whole or shard by shard."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import Quantity, ms, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from numpy.typing import ArrayLike, NDArray

from brian_snn.datasets import check_image_array
from brian_snn.network.network import Network
from brian_snn.network.parameters import require_rates
from brian_snn.pixel_range import require_calibrated_range
from brian_snn.results.arrays import Shard
from brian_snn.results.folder import open_run
from brian_snn.results.load import load_result
from brian_snn.results.result import Result, join
from brian_snn.results.store import Inputs
from brian_snn.running.callbacks import Progress, raised_as_they_are
from brian_snn.running.execute import Execution, execute
from brian_snn.settings import (
    Backend,
    FloatType,
    InputCoding,
    MaxPool,
    ProjectionMode,
    Readout,
    Recording,
    Reset,
    Schedule,
    Settings,
)
from brian_snn.simulation.job import Job, cut, make_job


def simulate(
    network: Network,
    images: ArrayLike,
    steps: int = 200,
    reset: Reset = "subtraction",
    threshold: float = 1.0,
    v_init: float = 0.0,
    clamp: int = 0,
    dt: Quantity = 1 * ms,
    readout: Readout = "potential",
    projection: ProjectionMode = "auto",
    max_pool: MaxPool = "exact",
    workers: int = 1,
    schedule: Schedule = "same_step",
    backend: Backend = "standalone",
    tau_m: Quantity = np.inf * ms,
    refractory: Quantity = 0 * ms,
    delay: Quantity = 0 * ms,
    input_coding: InputCoding = "current",
    output_rate: float = 0.5,
    seed: int = 0,
    float_type: FloatType = "float64",
    record_spikes: Sequence[str] = (),
    record_potentials: Sequence[str] = (),
    record_counts: Sequence[str] = (),
    checkpoints: Sequence[int] = (),
    progress: Progress | None = None,
    build_progress: Progress | None = None,
    output: str | Path | None = None,
    resume: bool = True,
    shard_size: int | None = None,
    client: Any = None,
    any_range: bool = False,
) -> Result:
    """Simulate a converted network on images with integrate-and-fire neurons, Eq. (4a) or (4b).

    Every image starts from V(0) with all counts at zero. The numbers in the result are exact: the same on both
    backends, on any machine, for any number of workers and any size of shards.

    Parameters
    ----------
    network : Network
        From `brian_snn.convert` or `brian_snn.load_network`.
    images : (n_images, *network.input_shape) array
        As the Keras model takes them; a memory map is read piece by piece.
    steps, reset, threshold, v_init, clamp, readout, projection, max_pool, schedule, backend
        See `brian_snn.Settings`.
    input_coding, output_rate, seed, float_type
        See `brian_snn.Settings`.
    dt : Quantity, time
        Length of a step; r_max = 1 / dt.
    tau_m, refractory, delay : Quantity, time
        Time constant of the leak, infinite for none; refractory period and synaptic delay, whole numbers of steps.
    workers : int
        Number of processes that share the images; the runtime backend has one.
    record_spikes, record_potentials, record_counts, checkpoints
        See `brian_snn.Recording`.
    progress, build_progress : callable, optional
        Called with (done, total) images, and (done, total) compiled files.
    output : path, optional
        Folder to write the result into, shard by shard, so that memory does not grow with the number of images. The
        result returned reads from it.
    resume : bool
        Whether to go on where an earlier call with the same network, images and settings left `output`.
    shard_size : int, optional
        Images that are simulated, and written, at a time; by default some 64 MB worth.
    client : dask.distributed.Client, optional
        Cluster whose workers run the shards.
    any_range : bool
        Whether to take images whose pixels are far from the range of the calibration images: further from it than it is
        wide, or all within less than a hundredth of it.

    Returns
    -------
    result : Result

    Raises
    ------
    SettingError
        If a setting is outside its range.
    ModelError
        If the network is on no grid.
    DataError
        If the images do not fit the network, or hold NaN or infinite values, for Poisson input pixels outside
        [0, 1], or pixels far from the range of the calibration images.
    DimensionMismatchError
        If dt, tau_m, refractory or delay is not a time.
    CompilerError, SimulationError, OutputError
        If the compiler or the compiled program fails, a disk is full, or `output` holds something else.
    """
    times = {"dt": dt, "tau_m": tau_m, "refractory": refractory, "delay": delay}
    for name, quantity in times.items():
        fail_for_dimension_mismatch(quantity, second, f"{name} must be a time")
    settings = Settings(
        steps=steps,
        reset=reset,
        threshold=threshold,
        v_init=v_init,
        clamp=clamp,
        readout=readout,
        projection=projection,
        max_pool=max_pool,
        schedule=schedule,
        backend=backend,
        input_coding=input_coding,
        output_rate=output_rate,
        seed=seed,
        float_type=float_type,
        **{f"{name}_s": float(quantity) for name, quantity in times.items()},
    )
    recording = Recording(record_spikes, record_potentials, record_counts, checkpoints)
    execution = Execution(workers, shard_size, client, progress, build_progress)
    return simulate_settings(network, images, settings, recording, execution, output, resume, any_range=any_range)


def simulate_settings(
    network: Network,
    images: ArrayLike,
    settings: Settings,
    recording: Recording | None = None,
    execution: Execution | None = None,
    output: str | Path | None = None,
    resume: bool = True,
    replace: bool = False,
    any_range: bool = False,
    labels: NDArray[np.integer] | None = None,
) -> Result:
    """Do what `simulate` does, its arguments in records.

    Parameters
    ----------
    replace : bool
        Whether an earlier result in `output` is deleted, which happens when all else has been checked.
    labels : (n_images,) int array, optional
        Classes of the images, kept with them in `output`.
    """
    prepared = _prepare(network, images, settings, recording or Recording(), any_range)
    execution = execution or Execution()
    if output is not None:
        return _write(prepared, execution, Path(output), resume, replace, labels)
    return join(list(_in_order(prepared, execution)), prepared.images, prepared.laps_s)


def stream(
    network: Network,
    images: ArrayLike,
    settings: Settings | None = None,
    recording: Recording | None = None,
    execution: Execution | None = None,
    any_range: bool = False,
) -> Iterator[Result]:
    """Simulate images and yield a `Result` for each shard of them, in the order of the images.

    What `simulate` returns in one piece comes piece by piece, to be verified, reduced and dropped: memory does not grow
    with the number of images.

    Parameters
    ----------
    network, images
        As for `simulate`, which also lists what is raised.
    settings : Settings, optional
        How to simulate.
    recording : Recording, optional
        What to keep besides counts, potentials and charges.
    execution : Execution, optional
        With how many processes, or on which cluster.
    any_range : bool
        As for `simulate`.

    Returns
    -------
    results : iterator of Result
        Each of the images of the next shard.
    """
    # Prepared now, so that what is wrong is said here and not with the first shard.
    prepared = _prepare(network, images, settings or Settings(), recording or Recording(), any_range)
    return _in_order(prepared, execution or Execution())


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A checked simulation and the seconds that it took so far, by stage."""

    job: Job
    images: NDArray[np.generic]
    laps_s: dict[str, float]


def _prepare(
    network: Network, images: ArrayLike, settings: Settings, recording: Recording, any_range: bool
) -> _Prepared:
    """Check the images and prepare all that they have in common."""
    start = time.perf_counter()
    checked, found = check_image_array(images, network.input_shape, "images")
    if settings.input_coding == "poisson":
        require_rates(checked)
    if not any_range:
        require_calibrated_range(found, network.calibration_range)
    job = make_job(network, settings, recording)
    return _Prepared(job, checked, {"prepare": time.perf_counter() - start})


def _in_order(prepared: _Prepared, execution: Execution) -> Iterator[Result]:
    """Yield the results of the shards in the order of the images."""
    shards = cut(prepared.job, len(prepared.images), execution.parallel, execution.shard_size)
    waiting: dict[Shard, Result] = {}
    todo = deque(shards)
    with raised_as_they_are():
        for shard, result in execute(prepared.job, prepared.images, shards, execution, prepared.laps_s):
            waiting[shard] = result
            while todo and todo[0] in waiting:
                yield waiting.pop(todo.popleft())


def _write(
    prepared: _Prepared,
    execution: Execution,
    folder: Path,
    resume: bool,
    replace: bool,
    labels: NDArray[np.integer] | None,
) -> Result:
    """Write the shards that a folder lacks and return the result that reads from it."""
    job, images = prepared.job, prepared.images
    inputs = Inputs(job.network, job.settings, images, job.recording, labels)
    size = execution.shard_size or len(cut(job, len(images), execution.parallel)[0])
    with (
        raised_as_they_are(),
        open_run(folder, inputs, size, prepared.laps_s, resume, replace) as run,
        # Closed first, it has noted its time by then.
        closing(execute(job, images, run.missing, execution, prepared.laps_s)) as done,
    ):
        for shard, result in done:
            run.write(shard, result.arrays())
    return load_result(run.path)
