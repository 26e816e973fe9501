"""brian_snn itself, in a process of its own: whole calls of `simulate`, from pixels to a `Result`."""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from exchange import Workload, parser, read_workload, write_measured

import brian_snn
from brian_snn.conversion.normalise import round_to_grid
from brian_snn.errors import SettingError
from brian_snn.settings import Recording, Settings
from brian_snn.simulation.job import make_job, run_inputs

Simulate = Callable[..., brian_snn.Result]


def descendants(process: Path = Path("/proc/self")) -> list[Path]:
    """Return the folders in /proc of the processes that a process has started, and of those that these started."""
    found: list[Path] = []
    # A thread or process may end between two looks.
    with contextlib.suppress(OSError):
        for task in (process / "task").iterdir():
            for child in (task / "children").read_text().split():
                folder = Path("/proc") / child
                found += [folder, *descendants(folder)]
    return found


def high_water_mb(process: Path) -> float:
    """Return VmHWM of a process in 10^6 bytes, 0 if it is gone or not yet the program that it was started for."""
    try:
        if (process / "exe").resolve() == Path("/proc/self/exe").resolve():
            return 0
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")), 0)


def peak_of_descendants_mb(work: Callable[[], Any]) -> float:
    """Return the largest VmHWM that a program started by `work` reaches, in 10^6 bytes."""
    peak, done = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, *(high_water_mb(child) for child in descendants()), 0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return peak


def processor_seconds() -> float:
    """Return the processor time of this process and of those that it started and that have ended."""
    children_used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children_used.ru_utime + children_used.ru_stime


def main() -> None:
    """Time a call on a few images and one on all; what the first takes besides its images is the start."""
    options = parser(__doc__)
    options.add_argument("--network", type=Path, required=True, help="the converted network, .npz")
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--reset", default="subtraction")
    options.add_argument("--settings", type=json.loads, default={}, help="more arguments of simulate, as JSON")
    options.add_argument("--counts", type=Path, help="take no times: write spike counts here, .npz, and measure memory")
    chosen = options.parse_args()
    workload, network = read_workload(chosen.workload), brian_snn.load_network(chosen.network)
    settings = {"reset": chosen.reset, "workers": chosen.workers} | chosen.settings
    if settings.get("float_type") == "float32":
        network = on_finest_grid(network, workload, settings)

    def simulate(n_images: int, steps: int = workload.steps) -> brian_snn.Result:
        return brian_snn.simulate(network, workload.images[:n_images], steps=steps, **settings)

    # Compiles, or finds the build in the cache; and Python imports what it needs.
    simulate(chosen.workers, steps=1)
    measured, more = (check if chosen.counts else time_calls)(simulate, chosen)
    if settings.get("float_type") == "float32" and chosen.counts:
        more |= {"grid": network.grid, "equal_to_float64": equal_to_float64(network, workload, settings)}
    write_measured(chosen.output, [measured], {"brian_snn": brian_snn.__version__}, **more)


def on_finest_grid(network: brian_snn.Network, workload: Workload, settings: dict[str, Any]) -> brian_snn.Network:
    """Return the network rounded to the finest grid on which float32 is accepted for all images."""
    for exponent in range(-24, 1):
        rounded = round_to_grid(replace(network, grid=0.0), 2.0**exponent)
        job = make_job(rounded, Settings(workload.steps, settings["reset"], float_type="float32"), Recording())
        try:
            run_inputs(job, workload.images, 0)
        except SettingError:
            continue
        return rounded
    raise RuntimeError("float32 is exact on no grid up to 1")


def equal_to_float64(network: brian_snn.Network, workload: Workload, settings: dict[str, Any]) -> bool:
    """Return whether float32 gives every count, potential and charge that float64 gives on the same grid."""
    single, double = (
        brian_snn.simulate(network, workload.images, steps=workload.steps, **settings | {"float_type": kind})
        for kind in ("float32", "float64")
    )
    fields = ("spike_counts", "potentials", "charge")
    return all(
        np.array_equal(values, getattr(double, field)[name])
        for field in fields
        for name, values in getattr(single, field).items()
    )


def check(simulate: Simulate, chosen: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run once; write every spike count, return predictions, events, and the memory of the compiled program."""
    results: list[brian_snn.Result] = []
    peak = peak_of_descendants_mb(lambda: results.append(simulate(chosen.images)))
    (result,) = results
    np.savez(chosen.counts, **result.spike_counts)
    is_classifier = result.network.output.kind == "readout"
    found = {"predictions": result.predictions.tolist() if is_classifier else []}
    return found | {"events": result.synaptic_events.tolist()}, {"simulation_peak_mb": peak}


def time_calls(simulate: Simulate, chosen: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the time of an image, of a call on all images less one on as many as there are workers."""
    n_few, n_all = chosen.workers, chosen.images
    calls = []
    for n_images in (n_few, n_all):
        start, processor_start = time.perf_counter(), processor_seconds()
        result = simulate(n_images)
        spent = time.perf_counter() - start, processor_seconds() - processor_start
        calls.append((*spent, result.timings_s["run"]))
    seconds, processor, run = ((all_ - few) / (n_all - n_few) for few, all_ in zip(*calls, strict=True))
    found = {"batch": 1, "images": n_all, "seconds": seconds, "processor_seconds": processor, "run_seconds": run}
    return found | {"start_seconds": calls[0][0] - n_few * seconds}, {}


if __name__ == "__main__":
    main()
