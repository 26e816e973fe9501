"""What every simulator of the conformance test reads and writes: a network with its images, and the spikes of a run.

Nothing but NumPy and the standard library is imported, since this runs in the virtual environment of every peer.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Layer:
    """One layer of the network, which is a chain; a layer with weights is followed by its spiking neurons.

    Parameters
    ----------
    name : str
        Of its neurons.
    map : str
        ``conv2d``, ``dense`` or ``average_pool``.
    shape : list of int
        Of its output, channels last.
    size, strides : list of int
        Of the window; empty for a dense layer.
    weights : float array
        (rows, columns, channels in, channels out), or (inputs in C order, outputs); none of an average.
    bias : (channels,) float array
    """

    name: str
    map: str
    shape: list[int]
    size: list[int]
    strides: list[int]
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None


@dataclass(frozen=True)
class Workload:
    """A network, the images that it is shown as constant currents, (n, rows, columns, channels), and for how long."""

    layers: list[Layer]
    images: np.ndarray
    steps: int


def write_workload(workload: Workload, path: Path) -> None:
    """Write a workload; every array under its own name, the rest as a JSON text."""
    described, arrays = [], {}
    for k, layer in enumerate(workload.layers):
        described.append({key: value for key, value in asdict(layer).items() if key not in ("weights", "bias")})
        pairs = (("weights", layer.weights), ("bias", layer.bias))
        arrays |= {f"{name}_{k}": values for name, values in pairs if values is not None}
    text = json.dumps({"layers": described, "steps": workload.steps})
    np.savez_compressed(path, description=np.array(text), images=workload.images, **arrays)


def read_workload(path: Path) -> Workload:
    """Read what `write_workload` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    description = json.loads(str(arrays["description"]))
    layers = [
        Layer(**layer, weights=arrays.get(f"weights_{k}"), bias=arrays.get(f"bias_{k}"))
        for k, layer in enumerate(description["layers"])
    ]
    return Workload(layers, arrays["images"], description["steps"])


def write_run(path: Path, spikes: dict[str, np.ndarray], versions: dict[str, str]) -> None:
    """Write spikes per step, (n_images, steps, *shape), channels last, as ``spikes/NAME``, and versions."""
    arrays = {f"spikes/{name}": values.astype(np.min_scalar_type(int(values.max()))) for name, values in spikes.items()}
    np.savez_compressed(path, versions=np.array(json.dumps(versions)), **arrays)


def parser(description: str | None, variants: tuple[str, ...]) -> argparse.ArgumentParser:
    """Return the options that all peers have."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("workload", type=Path, help="the .npz file of the network and its images")
    options.add_argument("output", type=Path, help="the .npz file of the run")
    options.add_argument("--variant", choices=variants, default=variants[0])
    return options
