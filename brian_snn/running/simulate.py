"""`simulate` and `stream`: from a converted network and images to a `Result`, whole or shard by shard."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import brian_snn.knobs as knobs
from brian_snn.datasets import check_image_array
from brian_snn.errors import DataError, SettingError
from brian_snn.events import has_steps
from brian_snn.inputs import as_one
from brian_snn.network.network import Network
from brian_snn.network.output import answer_of
from brian_snn.neurons.poisson import require_rates
from brian_snn.pixel_range import require_calibrated_range
from brian_snn.progress import Progress
from brian_snn.results.arrays import Shard
from brian_snn.results.folder import open_run
from brian_snn.results.load import load_result
from brian_snn.results.pieces import join
from brian_snn.results.result import Result
from brian_snn.results.store import Inputs
from brian_snn.running.callbacks import raised_as_they_are
from brian_snn.running.execute import execute, n_parallel
from brian_snn.settings import Execution, Recording, Settings
from brian_snn.simulation.job import Job, asked_settings, cut, make_job


def simulate(
    network: Network,
    images: ArrayLike,
    settings: Settings | None = None,
    *,
    output: str | Path | None = None,
    resume: bool = True,
    replace: bool = False,
    labels: ArrayLike | None = None,
    any_range: bool = False,
    executor: Executor | None = None,
    progress: Progress | bool | None = None,
    **options: Any,
) -> Result:
    """Simulate a converted network on images with integrate-and-fire neurons, Eq. (4a) or (4b).

    Every image starts from V(0) with all counts at zero. The numbers in the result are exact: the same on both
    backends, on any machine, for any number of workers and threads and any size of shards.

    Parameters
    ----------
    network : Network
        From `brian_snn.convert` or `brian_snn.load_network`.
    images : (n_images, *network.input_shape) array, or dict of arrays
        As the model takes them, of one with several inputs by their names; a memory map is read piece by piece. With an
        axis of steps behind the first, ``(n_images, steps, *network.input_shape)``, or as `brian_snn.Events`, the input
        changes: a layer that sees the image integrates V_thr (W x(t) + b) in step t. Then `steps` is that of the
        images, and `input_coding` "frames".
    settings : Settings, optional
        How to simulate; by default as `Settings()` says.
    output : path, optional
        Folder to write the result into, shard by shard, so that memory does not grow with the number of images. The
        result returned reads from it.
    resume : bool
        Whether to go on where an earlier call with the same network, images and settings left `output`.
    replace : bool
        Whether an earlier result in `output` is replaced, once the first shard of the new one is written.
    labels : (n_images,) int array, optional
        True classes of the images, as numbers or one-hot, which stay with the result; of the shape of its predictions.
    any_range : bool
        Whether to take images whose pixels are far from the range of the calibration images: further from it than it is
        wide, or all within less than a hundredth of it.
    executor, progress
        See `brian_snn.Execution`.
    **options
        The fields of `brian_snn.Settings`, `brian_snn.Recording` and `brian_snn.Execution` by name, such as
        ``steps=200, reset="zero", dt=1*ms, checkpoints=[50, 100], workers=2``. One of the settings takes the place of
        what `settings` says.

    Returns
    -------
    result : Result

    Raises
    ------
    SettingError
        If a setting is outside its range, or there is none of a name.
    ModelError
        If the network is on no grid.
    DataError
        If the images or labels do not fit the network, or images hold NaN or infinite values, for Poisson input pixels
        outside [0, 1], or pixels far from the range of the calibration images.
    DimensionMismatchError
        If dt, tau_m, refractory or delay is not a time.
    CompilerError, SimulationError, OutputError
        If the compiler or the compiled program fails, a disk is full, or `output` holds something else.
    """
    images = as_one(images, network.inputs)
    options = _with_defaults(network, images, settings, {"executor": executor, "progress": progress, **options})
    settings, recording, execution = _records(settings, options)
    prepared = _prepare(network, images, settings, recording, any_range, labels)
    if output is not None:
        return _write(prepared, execution, Path(output), resume, replace)
    return join(_in_order(prepared, execution), prepared.images, prepared.laps_s)


def stream(
    network: Network,
    images: ArrayLike,
    settings: Settings | None = None,
    *,
    labels: ArrayLike | None = None,
    any_range: bool = False,
    **options: Any,
) -> Iterator[Result]:
    """Simulate images and yield a `Result` for each shard of them, in the order of the images.

    What `simulate` returns in one piece comes piece by piece, to be verified, reduced and dropped: memory does not grow
    with the number of images.

    Parameters
    ----------
    network, images, settings, labels, any_range, **options
        As for `simulate`, which also lists what is raised.

    Returns
    -------
    results : iterator of Result
        Each of the images of the next shard.
    """
    images = as_one(images, network.inputs)
    settings, recording, execution = _records(settings, _with_defaults(network, images, settings, options))
    # Prepared now, so that what is wrong is said here and not with the first shard.
    prepared = _prepare(network, images, settings, recording, any_range, labels)
    return _in_order(prepared, execution)


def _with_defaults(
    network: Network, images: ArrayLike, settings: Settings | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Return the options with what the network asks for, and what follows from images that have an axis of steps.

    Raises
    ------
    SettingError
        If the settings say another number of steps, or another coding of the input.
    """
    asked = asked_settings(network, settings)
    if settings is None:
        own = {name.removesuffix("_s"): getattr(asked, name.removesuffix("_s")) for name in network.simulation}
        options = own | options
    shape, given = np.shape(images), vars(settings) if settings else {}
    coding = options.get("input_coding", given.get("input_coding", "current"))
    if not has_steps(images, network.input_shape):
        if coding == "frames":
            raise DataError(
                f"images have shape {shape}; with input_coding='frames' (n_images, steps, "
                f"{', '.join(map(str, network.input_shape))}) was expected."
            )
        return options
    if coding == "poisson":
        raise SettingError(
            "input_coding is 'poisson', but the images have an axis of steps: they say what each brings."
        )
    steps = options.get("steps", given.get("steps", shape[1]))
    if steps != shape[1]:
        raise SettingError(f"steps is {steps!r}; the images have {shape[1]} steps, and all of them are shown.")
    return {**options, "steps": shape[1], "input_coding": "frames"}


def _records(settings: Settings | None, options: dict[str, Any]) -> tuple[Settings, Recording, Execution]:
    """Return the records that settings and options make.

    Raises
    ------
    OptionError
        If there is no option of a name.
    """
    of_settings, of_recording, of_execution = knobs.sorted_out(options, Settings, Recording, Execution)
    given = dataclasses.replace(settings or Settings(), **of_settings)
    return given, Recording(**of_recording), Execution(**of_execution)


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A checked simulation and the seconds that it took so far, by stage."""

    job: Job
    images: NDArray[np.generic]
    labels: NDArray[np.int64] | None
    laps_s: dict[str, float]


def _prepare(
    network: Network,
    images: ArrayLike,
    settings: Settings,
    recording: Recording,
    any_range: bool,
    labels: ArrayLike | None,
) -> _Prepared:
    """Check the images and their labels, and prepare all that they have in common."""
    start = time.perf_counter()
    moves = settings.input_coding == "frames"
    checked, found = check_image_array(images, (settings.steps,) * moves + network.input_shape, "images")
    require_rates(checked, settings)
    # A frame may be far from what the images were that it is a moment of.
    if not (any_range or moves):
        require_calibrated_range(found, network.calibration_range)
    answer = answer_of(network)
    if labels is not None:
        answer.require_classes()
        labels = answer.labels(np.asarray(labels), len(checked), "this call")
    job = make_job(network, settings, recording)
    return _Prepared(job, checked, labels, {"prepare": time.perf_counter() - start})


def _in_order(prepared: _Prepared, execution: Execution) -> Iterator[Result]:
    """Yield the results of the shards in the order of the images."""
    shards = cut(prepared.job, len(prepared.images), n_parallel(execution), execution.shard_size)
    waiting: dict[Shard, Result] = {}
    labels = prepared.labels
    todo = deque(shards)
    with raised_as_they_are():
        for shard, result in execute(prepared.job, prepared.images, shards, execution, prepared.laps_s):
            waiting[shard] = (
                result if labels is None else dataclasses.replace(result, labels=labels[shard.start : shard.stop])
            )
            while todo and todo[0] in waiting:
                yield waiting.pop(todo.popleft())


def _write(prepared: _Prepared, execution: Execution, folder: Path, resume: bool, replace: bool) -> Result:
    """Write the shards that a folder lacks and return the result that reads from it."""
    job, images = prepared.job, prepared.images
    inputs = Inputs(job.network, job.settings, images, job.recording, prepared.labels)
    size = execution.shard_size or len(cut(job, len(images), n_parallel(execution))[0])
    with (
        raised_as_they_are(),
        open_run(folder, inputs, size, prepared.laps_s, resume, replace) as run,
        # Closed first, it has noted its time by then.
        closing(execute(job, images, run.missing, execution, prepared.laps_s)) as done,
    ):
        for shard, result in done:
            run.write(shard, result.arrays())
    return load_result(run.path)
