"""`simulate`: from a converted network and images to a `Result`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from brian2 import Quantity, ms, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from numpy.typing import ArrayLike, NDArray

from brian_snn.conversion.graph import INPUT, Network
from brian_snn.datasets import check_images
from brian_snn.errors import SettingError
from brian_snn.simulation.build_cache import get_build
from brian_snn.simulation.parameters import Parameters, check_range, input_currents, scaled_parameters
from brian_snn.simulation.records import collect, make_plan
from brian_snn.simulation.result import Result, window_start
from brian_snn.simulation.runs import RunInputs, RunOutputs
from brian_snn.simulation.runtime import run_runtime
from brian_snn.simulation.settings import Backend, MaxPool, ProjectionMode, Readout, Reset, Schedule, Settings
from brian_snn.simulation.standalone import run_standalone
from brian_snn.simulation.topology import topology

Progress = Callable[[int, int], None]


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
    record_spikes: Sequence[str] = (),
    record_potentials: Sequence[str] = (),
    record_counts: Sequence[str] = (),
    checkpoints: Sequence[int] = (),
    progress: Progress | None = None,
    build_progress: Progress | None = None,
) -> Result:
    """Simulate a converted network on images with integrate-and-fire neurons, Eq. (4a) or (4b).

    Every image starts from V(0) with all counts at zero. The numbers in the result are exact: the same on both
    backends, on any machine and for any number of workers.

    Parameters
    ----------
    network : Network
        From `brian_snn.convert` or `brian_snn.load_network`.
    images : (n_images, *network.input_shape) array
        As the Keras model takes them.
    steps, reset, threshold, v_init, clamp, readout, projection, max_pool, schedule, backend
        See `brian_snn.Settings`.
    dt : Quantity, time
        Length of a step; r_max = 1 / dt.
    workers : int
        Number of processes that share the images; the runtime backend has one.
    record_spikes, record_potentials : sequence of str
        Populations whose spike trains, or V(t), are kept for every image.
    checkpoints : sequence of int
        Steps after which the output and the total spike counts are noted.
    record_counts : sequence of str
        Populations whose spike counts are noted, neuron by neuron, at the checkpoints.
    progress, build_progress : callable, optional
        Called with (done, total) images, and (done, total) compiled files.

    Returns
    -------
    result : Result

    Raises
    ------
    SettingError
        If a setting is outside its range.
    DataError
        If the images do not fit the network, or hold NaN or infinite values.
    DimensionMismatchError
        If dt is not a time.
    CompilerError, SimulationError, OutputError
        If the compiler or the compiled program fails, or a disk is full.
    """
    fail_for_dimension_mismatch(dt, second, "dt must be a time")
    settings = Settings(
        steps, reset, threshold, v_init, clamp, float(dt), readout, projection, max_pool, schedule, backend
    )
    if isinstance(workers, bool) or int(workers) != workers or workers < 1:
        raise SettingError(f"workers is {workers!r}; it must be a whole number of at least 1.")
    checked = check_images(images, network.input_shape, "images")
    steps_to_note = tuple(sorted({int(step) for step in checkpoints}))
    plan = make_plan(network, settings, steps_to_note, tuple(record_counts))
    layout = topology(network, settings, tuple(record_spikes), tuple(record_potentials))

    clock = _Stopwatch()
    parameters = scaled_parameters(network, settings)
    inputs = _run_inputs(network, settings, parameters, checked)
    clock.lap("prepare")
    if backend == "standalone":
        build = get_build(layout, build_progress)
        clock.lap("compile" if build.is_new else "find_build")
        outputs = run_standalone(build, layout, plan, inputs, workers, progress)
    else:
        outputs = run_runtime(layout, plan, inputs, progress)
    clock.lap("run")
    fields = collect(outputs.records, network, settings, parameters, plan, steps_to_note, tuple(record_counts))
    return Result(
        network=network,
        settings=settings,
        images=np.asarray(images),
        timings_s=clock.laps_s,
        **_recordings(network, settings, outputs),
        **fields,
    )


def _run_inputs(network: Network, settings: Settings, parameters: Parameters, images: NDArray[np.float64]) -> RunInputs:
    """Compute the input currents and lay all numbers out by position; refuse what could leave the exact range."""
    currents = input_currents(network, parameters, images)
    check_range(network, parameters, currents, settings)
    populations = list(enumerate(network.populations))
    return RunInputs(
        n_images=len(images),
        threshold=parameters.threshold,
        v_init=parameters.v_init,
        clamp_steps=tuple(window_start(p, settings) for _, p in populations),
        bias={k: parameters.bias[p.name].ravel() for k, p in populations},
        currents={k: currents[p.name].reshape(len(images), -1) for k, p in populations if p.name in currents},
        weights={k: w for k, w in parameters.weights.items() if network.projections[k].source != INPUT},
    )


def _recordings(network: Network, settings: Settings, outputs: RunOutputs) -> dict[str, Any]:
    """Name the spike trains and traces by population; trains sorted by image, step, neuron."""
    populations = network.populations
    trains = {
        populations[k].name: rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
        for k, rows in outputs.spikes.items()
    }
    traces = {
        populations[k].name: trace.reshape(len(trace), settings.steps, *populations[k].shape)
        for k, trace in outputs.traces.items()
    }
    return {"spike_trains": trains, "potential_traces": traces}


class _Stopwatch:
    """Seconds between laps, by name."""

    def __init__(self) -> None:
        self.laps_s: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Note the time since the last lap."""
        now = time.perf_counter()
        self.laps_s[name] = now - self._last
        self._last = now
