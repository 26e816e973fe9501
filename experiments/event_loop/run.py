"""Compare brian_snn's compiled simulations with a hand-written C++ event loop: time, memory, and every spike."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import platform
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import brian2
import keras
import numpy as np
from keras import layers

import brian_snn
from brian_snn.conversion.graph import INPUT, FloatArray, Geometry, Network
from brian_snn.conversion.linear_maps import grouped, n_synapses
from brian_snn.datasets import load_demo
from brian_snn.simulation.compiler import find_compiler
from brian_snn.simulation.parameters import input_currents, scaled_parameters
from brian_snn.simulation.result import Result
from brian_snn.simulation.settings import ProjectionMode, Settings

HERE = Path(__file__).resolve().parent
KINDS = {"spiking": 0, "max_pool": 1, "readout": 2}
MODES: tuple[ProjectionMode, ...] = ("shared", "synapses")
PROGRAMS = ("loop", *MODES)
MAPS = {"conv2d": 0, "dense": 0, "max_pool": 1, "average_pool": 2}

logger = logging.getLogger("event_loop")


@dataclass(frozen=True, eq=False)
class Case:
    """One network, the images to time it on, and how it is simulated."""

    name: str
    network: Network
    images: FloatArray
    settings: dict[str, Any]

    def simulate(self, projection: ProjectionMode, n_images: int) -> Result:
        """Run the product on the first images, in one process."""
        return brian_snn.simulate(self.network, self.images[:n_images], projection=projection, **self.settings)


@dataclass(frozen=True)
class Times:
    """Seconds for one image, by the clock and of processor time, and seconds to start."""

    wall: float
    processor: float
    start: float = 0.0


# --- networks -------------------------------------------------------------------------------------------------------


def smooth_images(shape: tuple[int, ...], n_images: int, rng: np.random.Generator) -> FloatArray:
    """Return coloured blobs in [0, 1]: like photos, they have most of their power at low frequencies."""
    rows, columns = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    decay = 1 / np.maximum(np.hypot(rows, columns), 1 / shape[0])
    noise = np.fft.rfft2(rng.normal(size=(n_images, *shape)), axes=(1, 2))
    images = np.fft.irfft2(noise * decay[None, :, :, None], s=shape[:2], axes=(1, 2))
    low, high = images.min(axis=(1, 2, 3), keepdims=True), images.max(axis=(1, 2, 3), keepdims=True)
    return np.asarray((images - low) / (high - low))


def random_cnn(description: dict[str, Any], seed: int) -> keras.Model:
    """Return an untrained CNN with He weights, which keep the activity of deep layers at that of the first."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input(description["input_shape"])])
    for kind, *numbers in description["layers"]:
        if kind == "conv":
            filters, size, stride, padding = numbers
            model.add(layers.Conv2D(filters, size, stride, padding, activation="relu", kernel_initializer="he_normal"))
        elif kind == "dense":
            model.add(layers.Flatten())
            model.add(layers.Dense(numbers[0], activation="relu", kernel_initializer="he_normal"))
        else:
            pool = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
            model.add(pool(numbers[0], 2))
    model.add(layers.Dense(10, activation="softmax"))
    return model


def load_case(name: str, params: dict[str, Any]) -> Case:
    """Convert one of the networks of params.json."""
    description = params["networks"][name]
    rng = np.random.default_rng(params["seed"])
    demo_model, test, calibration = load_demo()
    if name == "demo":
        model, images, to_normalise = demo_model, test.images, calibration.images
    else:
        model, shape = random_cnn(description, params["seed"]), tuple(description["input_shape"])
        is_digit = shape == test.images.shape[1:]
        images = test.images if is_digit else smooth_images(shape, 20, rng)
        to_normalise = calibration.images if is_digit else images
    network = brian_snn.convert(model, to_normalise, percentile=params["percentile"])
    settings = {"steps": params["steps"], "reset": params["reset"], "workers": 1}
    return Case(name, network, images[: description["images"]], settings)


# --- the hand-written loop ------------------------------------------------------------------------------------------


def compile_loop(folder: Path) -> Path:
    """Compile event_loop.cpp."""
    binary = folder / "event_loop"
    command = [find_compiler(), "-O3", "-march=native", str(HERE / "event_loop.cpp"), "-o", str(binary)]
    subprocess.run(command, check=True)
    return binary


def describe(case: Case, folder: Path) -> None:
    """Write network.txt and network.bin, in the order in which event_loop.cpp reads them."""
    network = case.network
    settings = Settings(steps=case.settings["steps"], reset=case.settings["reset"])
    parameters = scaled_parameters(network, settings)
    currents = input_currents(network, parameters, case.images)
    links = [(k, p) for k, p in enumerate(network.projections) if p.source != INPUT]
    zero = int(settings.reset == "zero")
    lines: list[tuple[Any, ...]] = [
        (len(case.images), settings.steps, zero, repr(parameters.threshold), repr(parameters.v_init)),
        (len(network.populations), len(links)),
    ]
    arrays: list[FloatArray] = []
    for population in network.populations:
        sees_image = population.name in currents
        lines.append((KINDS[population.kind], population.size, int(sees_image)))
        arrays.append(currents[population.name] if sees_image else parameters.bias[population.name])
    positions = {population.name: k for k, population in enumerate(network.populations)}
    for k, p in links:
        if p.source_index is not None or p.target_index is not None:
            raise ValueError(f"{p.source} -> {p.target} is permuted; event_loop.cpp has no code for that.")
        lines.append((positions[p.source], positions[p.target], *numbers_of(p.geometry)))
        weights = parameters.weights[k]
        arrays += [] if weights is None else [weights]
    (folder / "network.txt").write_text("".join(" ".join(map(str, line)) + "\n" for line in lines))
    with (folder / "network.bin").open("wb") as file:
        for array in arrays:
            file.write(np.ascontiguousarray(array, np.float64).tobytes())


def numbers_of(geometry: Geometry) -> tuple[int, ...]:
    """Return the line of one map in network.txt."""
    if geometry.kind not in MAPS or geometry.groups != 1 or geometry.dilation != (1, 1):
        raise ValueError(f"event_loop.cpp has no code for {geometry}.")
    shape, ((top, _), (left, _)) = grouped(geometry), geometry.padding
    sizes = (*shape.input_shape, *shape.output_shape)
    return (MAPS[geometry.kind], *sizes, *geometry.kernel_size, *geometry.strides, top, left)


def run_loop(binary: Path, folder: Path, n_images: int) -> tuple[Times, int]:
    """Run the hand-written loop; return the time it took for an image and its synaptic events in all of them."""
    done = subprocess.run([str(binary), str(folder)], check=True, capture_output=True, text=True)
    seconds, processor_seconds, events = done.stdout.split()
    return Times(float(seconds) / n_images, float(processor_seconds) / n_images), int(events)


def loop_counts(case: Case, folder: Path) -> dict[str, Any]:
    """Read the spike counts that the loop wrote, by population."""
    populations = case.network.populations
    counts = np.fromfile(folder / "counts.bin", np.int32).reshape(len(case.images), -1)
    parts = np.split(counts, np.cumsum([p.size for p in populations])[:-1], axis=1)
    return {p.name: part.reshape(-1, *p.shape) for p, part in zip(populations, parts, strict=True)}


# --- measuring ------------------------------------------------------------------------------------------------------


def peak_memory_mb(work: Callable[[], Any]) -> float:
    """Return the largest resident size (VmHWM) that a process started by `work` reaches, in 10^6 bytes."""
    peak_kib, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak_kib
        while not done.wait(0.002):
            peak_kib = max(peak_kib, *(_high_water_kib(child) for child in _children()), 0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return peak_kib * 1024 / 1e6


def _children() -> list[Path]:
    """Return the folders in /proc of the processes that this one has started."""
    found: list[Path] = []
    for task in Path("/proc/self/task").iterdir():
        # A thread may end between the two looks.
        with contextlib.suppress(OSError):
            found += [Path("/proc") / child for child in (task / "children").read_text().split()]
    return found


def _high_water_kib(process: Path) -> int:
    """Return VmHWM of a process, 0 if it is gone or has not yet become the program that it was started for."""
    try:
        if (process / "exe").resolve() == Path("/proc/self/exe").resolve():
            return 0
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def time_product(case: Case, projection: ProjectionMode) -> Times:
    """Return the time for an image and to start, from a run of one image and a run of all."""
    wall, processor = [], []
    for n_images in (1, len(case.images)):
        before = _processor_seconds()
        wall.append(case.simulate(projection, n_images).timings_s["run"])
        processor.append(_processor_seconds() - before)
    n_more = len(case.images) - 1
    per_image = (wall[1] - wall[0]) / n_more
    return Times(per_image, (processor[1] - processor[0]) / n_more, wall[0] - per_image)


def _processor_seconds() -> float:
    """Return the processor time of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def check_equal(case: Case, results: dict[ProjectionMode, Result], counts: dict[str, Any]) -> None:
    """Raise unless all three programs gave every neuron the same number of spikes."""
    for projection, result in results.items():
        for name, expected in counts.items():
            if not np.array_equal(result.spike_counts[name], expected):
                raise RuntimeError(f"{case.name}, {projection}: the spike counts of {name} differ from the loop's.")


def measure(case: Case, binary: Path, params: dict[str, Any]) -> dict[str, Any]:
    """Compile, check, then time the three programs in turn."""
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        describe(case, folder)
        _, events = run_loop(binary, folder, len(case.images))
        results = {mode: case.simulate(mode, len(case.images)) for mode in MODES}
        check_equal(case, results, loop_counts(case, folder))
        if events != sum(results["shared"].synaptic_events):
            raise RuntimeError(f"{case.name}: the loop counted {events} synaptic events, brian_snn another number.")
        memory = {mode: peak_memory_mb(partial(case.simulate, mode, 1)) for mode in MODES}
        for _ in range(params["rounds"]):
            loop, _ = run_loop(binary, folder, len(case.images))
            rounds.append((loop, *(time_product(case, mode) for mode in MODES)))
    sizes = describe_size(case, params["targets"]) | {"events_per_image": events / len(case.images)}
    return sizes | summarise(rounds, events / len(case.images)) | {"peak_memory_mb": memory}


def describe_size(case: Case, targets: dict[str, float]) -> dict[str, Any]:
    """Return sizes of the network and the memory that the target allows it."""
    populations, projections = case.network.populations, case.network.projections
    n_neurons = sum(p.size for p in populations)
    links = [p for p in projections if p.source != INPUT]
    weights = sum(8 * p.weights.size for p in links if p.weights is not None)
    return {
        "neurons": n_neurons,
        "synapses": sum(n_synapses(case.network, p) for p in links),
        "images": len(case.images),
        "allowed_memory_mb": (weights + targets["bytes_per_neuron"] * n_neurons) / 1e6 + targets["base_mb"],
    }


def summarise(rounds: list[tuple[Times, ...]], events: float) -> dict[str, Any]:
    """Return medians over the rounds; ratios are taken within a round first."""
    times = np.array([[(t.wall, t.processor, t.start) for t in timed] for timed in rounds])
    programs = {
        program: {
            "wall_ms": 1e3 * wall,
            "processor_ms": 1e3 * processor,
            "processor_ns_per_event": 1e9 * processor / events,
            "start_ms": 1e3 * start,
        }
        for program, (wall, processor, start) in zip(PROGRAMS, np.median(times, axis=0).tolist(), strict=True)
    }
    loop, shared, synapses = (times[:, k, :2] for k in range(len(PROGRAMS)))
    ratios = {"shared_over_loop": shared / loop, "synapses_over_shared": synapses / shared}
    medians = {name: np.median(ratio, axis=0).tolist() for name, ratio in ratios.items()}
    return {
        "programs": programs,
        "ratios": {f"{n}_{c}": r for n, m in medians.items() for c, r in zip(("wall", "processor"), m, strict=True)},
    }


def table(measured: dict[str, dict[str, Any]]) -> str:
    """Return the tables of the README."""
    lines = [
        "| network | program | ms an image | of processor time | ns an event | start, ms | peak memory, MB (allowed) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, m in measured.items():
        for program, p in m["programs"].items():
            numbers = f"{p['wall_ms']:.1f} | {p['processor_ms']:.1f} | {p['processor_ns_per_event']:.2f}"
            ending = " | "
            if program in MODES:
                ending = f"{p['start_ms']:.0f} | {m['peak_memory_mb'][program]:.0f} ({m['allowed_memory_mb']:.0f})"
            lines.append(f"| {name} | {program} | {numbers} | {ending} |")
    lines += ["", "| network | " + " | ".join(next(iter(measured.values()))["ratios"]) + " |", "|---|---|---|---|---|"]
    for name, m in measured.items():
        lines.append(f"| {name} | " + " | ".join(f"{ratio:.2f}" for ratio in m["ratios"].values()) + " |")
    return "\n".join(lines)


def processor() -> str:
    """Return the name of the processor, as far as the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    """Measure all networks, or those named, and store the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--params", type=Path, default=HERE / "params.json", help="numbers and seeds")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder for the numbers")
    parser.add_argument("--only", nargs="+", default=None, help="names of networks")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    params = json.loads(options.params.read_text())
    measured, start = {}, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        binary = compile_loop(Path(folder))
        for name in options.only or params["networks"]:
            measured[name] = measure(load_case(name, params), binary, params)
    logger.info(table(measured))
    versions = {"python": platform.python_version()} | {m.__name__: m.__version__ for m in (np, keras, brian2)}
    machine = {"processor": processor(), "cores": os.cpu_count(), "load_average": os.getloadavg()[0]}
    record = {"measured": measured, "minutes": round((time.perf_counter() - start) / 60, 1), "machine": machine}
    options.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record | {"versions": versions, "params": params}, indent=2)
    (options.results / "event_loop.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
