"""Our C++ event loop and the row limit: compiling them, writing their input, running them, reading spike counts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from networks import Case
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.backends.compiler import find_compiler
from brian_snn.network.forward import input_currents
from brian_snn.network.maps import grouped
from brian_snn.network.records import INPUT, Geometry

HERE = Path(__file__).resolve().parent
KINDS = {"spiking": 0, "max_pool": 1, "readout": 2}
MAPS = {"conv2d": 0, "dense": 0, "max_pool": 1, "average_pool": 2}


@dataclass(frozen=True, eq=False)
class LoopRun:
    """What one run of the loop on some images gave.

    Parameters
    ----------
    seconds, processor_seconds : float
        For an image; reading the input and writing the results are not in them.
    events : tuple of int
        Synaptic events of all images, of each map.
    peak_mb : float
        Largest resident size, of all processes together.
    """

    seconds: float
    processor_seconds: float
    events: tuple[int, ...]
    peak_mb: float


def compile_loop(folder: Path, real: str, source: str = "event_loop") -> Path:
    """Compile event_loop.cpp, or row_limit.cpp, for ``double`` or ``float``."""
    binary = folder / f"{source}_{real}"
    command = [*find_compiler(), "-O3", "-march=native", f"-DREAL={real}", str(HERE / f"{source}.cpp")]
    subprocess.run([*command, "-o", str(binary)], check=True)
    return binary


def write_input(case: Case, folder: Path, processes: int) -> None:
    """Write a folder a process, each with its share of the images."""
    for shard, chosen in zip(_shards(folder, processes), np.array_split(case.images, processes), strict=True):
        shard.mkdir(parents=True, exist_ok=True)
        _describe(case, chosen, shard)


def _shards(folder: Path, processes: int) -> list[Path]:
    return [folder / f"loop_{processes}_{k}" for k in range(processes)]


def _describe(case: Case, images: FloatArray, folder: Path) -> None:
    """Write network.txt and network.bin, in the order in which event_loop.cpp reads them; V_thr is 1, V(0) is 0."""
    network = case.network
    currents = {name: on_grid(z, network.grid) for name, z in input_currents(network, images).items()}
    links = [p for p in network.projections if p.source != INPUT]
    lines: list[tuple[Any, ...]] = [
        (len(images), case.steps, int(case.reset == "zero"), 1.0, 0.0),
        (len(network.populations), len(links)),
    ]
    arrays: list[FloatArray] = []
    for population in network.populations:
        sees_image = population.name in currents
        lines.append((KINDS[population.kind], population.size, int(sees_image)))
        arrays.append(currents[population.name] if sees_image else population.bias)
    positions = {population.name: k for k, population in enumerate(network.populations)}
    for link in links:
        lines.append((positions[link.source], positions[link.target], *_numbers_of(link.geometry)))
        arrays += [] if link.weights is None else [link.weights]
    (folder / "network.txt").write_text("".join(" ".join(map(str, line)) + "\n" for line in lines))
    with (folder / "network.bin").open("wb") as file:
        for array in arrays:
            file.write(np.ascontiguousarray(array, np.float64).tobytes())


def on_grid(values: FloatArray, grid: float) -> FloatArray:
    """Return the nearest multiples of the grid: constant currents are rounded to it."""
    return np.asarray(np.round(values / grid) * grid)


def _numbers_of(geometry: Geometry) -> tuple[int, ...]:
    """Return the line of one map in network.txt."""
    if geometry.kind not in MAPS or geometry.groups != 1 or geometry.dilation != (1, 1):
        raise ValueError(f"event_loop.cpp has no code for {geometry}.")
    shape, ((top, _), (left, _)) = grouped(geometry), geometry.padding
    sizes = (*shape.input_shape, *shape.output_shape)
    return (MAPS[geometry.kind], *sizes, *geometry.kernel_size, *geometry.strides, top, left)


def run_loop(binary: Path, folder: Path, processes: int, n_images: int) -> LoopRun:
    """Run the loop on what `write_input` wrote: the slowest of the processes sets the time."""
    commands = [[str(binary), str(shard)] for shard in _shards(folder, processes)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    outputs = [process.communicate()[0].split() for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"{binary} stopped with exit codes {[process.returncode for process in running]}.")
    seconds, processor_seconds, peak_kib, *events = (list(column) for column in zip(*outputs, strict=True))
    return LoopRun(
        max(map(float, seconds)) / n_images,
        sum(map(float, processor_seconds)) / n_images,
        tuple(sum(map(int, of_map)) for of_map in events),
        sum(map(int, peak_kib)) * 1024 / 1e6,
    )


def run_rows(binary: Path, case: Case, events: tuple[int, ...], processes: int) -> float:
    """Add as many rows of weights as all images need, at random positions; return the seconds for an image."""
    numbers = []
    links = (p for p in case.network.projections if p.source != INPUT)
    for link, n_events in zip(links, events, strict=True):
        length = _row_length(link.geometry)
        n_weights = length if link.weights is None else link.weights.size
        numbers += [length, n_events // length // processes, case.network[link.target].size, n_weights]
    command = [str(binary), *map(str, numbers)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(processes)]
    return max(float(process.communicate()[0]) for process in running) / len(case.images)


def _row_length(geometry: Geometry) -> int:
    """Return how many weights lie side by side that a spike adds to neighbours: one of pooling."""
    if geometry.kind not in ("conv2d", "dense"):
        return 1
    _, width, channels = grouped(geometry).output_shape
    return channels * (min(geometry.kernel_size[1], width) if geometry.strides[1] == 1 else 1)


def read_counts(case: Case, folder: Path) -> Iterator[tuple[str, NDArray[np.int32]]]:
    """Yield the spike counts of every population, (n_images, *shape), that one process wrote."""
    (shard,) = _shards(folder, 1)
    counts = np.fromfile(shard / "counts.bin", np.int32).reshape(len(case.images), -1)
    ends = np.cumsum([p.size for p in case.network.populations])
    for population, part in zip(case.network.populations, np.split(counts, ends[:-1], axis=1), strict=True):
        yield population.name, part.reshape(-1, *population.shape)


def read_predictions(case: Case, folder: Path) -> list[int]:
    """Return the class with the largest potential of the readout for every image."""
    (shard,) = _shards(folder, 1)
    potentials = np.fromfile(shard / "output.bin", np.float64).reshape(len(case.images), -1)
    return [int(k) for k in potentials.argmax(axis=1)]
