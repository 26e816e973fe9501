"""What every program of the race reads and writes: a workload as .npz, measurements as JSON.

Nothing but NumPy and the standard library is imported, since this runs in the virtual environment of every peer.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

#: Simulates a batch for a number of steps; returns one row of logits for each image.
Simulator = Callable[[np.ndarray, int], np.ndarray]

#: Steps of the run before the clock starts: a library sets up its kernels and buffers in the first ones.
WARM_UP_STEPS = 3


@dataclass(frozen=True)
class Layer:
    """One layer of the network, which is a chain: convolution, dense, or pooling, each followed by its neurons.

    Parameters
    ----------
    map : str
        ``conv2d``, ``dense``, ``average_pool`` or ``max_pool``.
    neurons : str
        ``spiking``, ``max_pool`` or ``readout``.
    input_shape, output_shape : list of int
        Channels last.
    kernel_size, strides : list of int
    padding : list of list of int
        Zeros above and below, left and right; an average leaves them out.
    weights : float array, or None
        As in `brian_snn.network.records.Geometry.weights_shape`: normalised, on the grid.
    bias : (channels,) float array, or None
    """

    map: str
    neurons: str
    input_shape: list[int]
    output_shape: list[int]
    kernel_size: list[int]
    strides: list[int]
    padding: list[list[int]]
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None


@dataclass(frozen=True)
class Workload:
    """A network, the images it is timed on, and the images that a peer may set its own scales with."""

    layers: list[Layer]
    images: np.ndarray
    labels: np.ndarray
    calibration: np.ndarray
    steps: int


def write_workload(workload: Workload, path: Path) -> None:
    """Write a workload; every array under its own name, the rest as a JSON text."""
    described, arrays = [], {}
    for k, layer in enumerate(workload.layers):
        described.append({key: value for key, value in asdict(layer).items() if key not in ("weights", "bias")})
        pairs = (("weights", layer.weights), ("bias", layer.bias))
        arrays |= {f"{name}_{k}": values for name, values in pairs if values is not None}
    text = json.dumps({"layers": described, "steps": workload.steps})
    names = ("images", "labels", "calibration")
    np.savez(path, description=np.array(text), **arrays, **{name: getattr(workload, name) for name in names})


def read_workload(path: Path) -> Workload:
    """Read what `write_workload` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    description = json.loads(str(arrays["description"]))
    layers = [
        Layer(**layer, weights=arrays.get(f"weights_{k}"), bias=arrays.get(f"bias_{k}"))
        for k, layer in enumerate(description["layers"])
    ]
    return Workload(layers, arrays["images"], arrays["labels"], arrays["calibration"], description["steps"])


def plain_layers(layers: list[Layer]) -> list[Layer]:
    """Return the layers of the ANN that a converter takes: an average is one, without a scale of its own.

    brian_snn's average is a population whose weights are lambda_source / lambda_target over the size of the window. The
    ratio moves into the weights behind it, since a converter has neurons only where the ANN has a ReLU.
    """
    plain, factor = [], 1.0
    for layer in layers:
        if layer.map == "average_pool":
            factor *= _scale_of_average(layer)
        elif layer.weights is not None:
            layer, factor = replace(layer, weights=layer.weights * factor), 1.0
        plain.append(layer)
    return plain


def _scale_of_average(layer: Layer) -> float:
    """Return lambda_source / lambda_target of an average pooling, from the weight of a window without padding."""
    # The smallest weight is that of the largest window.
    return float(np.min(layer.weights) * layer.kernel_size[0] * layer.kernel_size[1])


def peak_memory_mb() -> float:
    """Return the largest resident size of this process (VmHWM) in 10^6 bytes."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return the options that all programs have."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("workload", type=Path, help="the .npz file")
    options.add_argument("output", type=Path, help="the .json file")
    options.add_argument("--images", type=int, required=True, help="number of images to run")
    options.add_argument("--batches", type=int, nargs="+", default=[1], help="batch sizes")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--logits", type=Path, help="write what the last batch size gave here, .npy")
    options.add_argument("--brief", action="store_true", help="one batch, or two images, of each size: to compare them")
    return options


def time_batches(
    simulator: Simulator, workload: Workload, batch: int, n_images: int, keep: Path | None
) -> dict[str, Any]:
    """Time the images in batches, from a NumPy array of pixels to logits; what does not fill a batch is left out."""
    images = workload.images
    starts = range(0, max(n_images - batch, 0) + 1, batch)
    simulator(images[:batch], WARM_UP_STEPS)
    start, processor_start = time.perf_counter(), time.process_time()
    logits = [simulator(images[k : k + batch], workload.steps) for k in starts]
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor_start
    n_run = len(starts) * batch
    if keep:
        np.save(keep, np.concatenate(logits))
    return {
        "batch": batch,
        "images": n_run,
        "seconds": seconds / n_run,
        "processor_seconds": processor_seconds / n_run,
        "predictions": np.concatenate(logits).reshape(n_run, -1).argmax(axis=1).tolist(),
    }


def race(simulator: Simulator, workload: Workload, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time every batch size; where they are only compared, the better of two tries counts."""
    runs = []
    for batch in options.batches:
        n_images, tries = (max(batch, 2), 2) if options.brief else (options.images, 1)
        timed = [time_batches(simulator, workload, batch, n_images, options.logits) for _ in range(tries)]
        runs.append(min(timed, key=lambda run: run["seconds"]))
    return runs


def write_measured(path: Path, runs: list[dict[str, Any]], versions: dict[str, str], **more: Any) -> None:
    """Write the measurements and the peak memory of this process."""
    record = {"runs": runs, "peak_mb": peak_memory_mb(), "versions": versions} | more
    path.write_text(json.dumps(record), "utf-8")
