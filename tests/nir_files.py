"""NIR files for tests, and a network that is written as such for frameworks to read.

``python -m tests.nir_files FOLDER`` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from brian_snn import write_nir
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection


def cnn(seed: int = 3) -> Network:
    """Return a CNN of conv (same, uneven), average, conv in groups, dense and dense, weights on 2**-6."""
    rng = np.random.default_rng(seed)

    def drawn(shape: tuple[int, ...], fan_in: int) -> np.ndarray:
        return np.round((rng.normal(size=shape) * 1.5 / np.sqrt(fan_in) + 0.1) * 64) / 64

    maps = {
        "conv": Geometry("conv2d", (8, 8, 1), (4, 4, 4), (3, 3), (2, 2), padding=((0, 1), (0, 1))),
        "average": Geometry("average_pool", (4, 4, 4), (2, 2, 4), (2, 2), (2, 2)),
        "grouped": Geometry("conv2d", (2, 2, 4), (2, 2, 6), (2, 2), padding=((1, 0), (1, 0)), groups=2),
        "dense": Geometry("dense", (24,), (7,)),
        "last": Geometry("dense", (7,), (5,)),
    }
    sources = [INPUT, *list(maps)[:-1]]
    populations, projections = [], []
    for depth, (source, (name, geometry)) in enumerate(zip(sources, maps.items(), strict=True), start=1):
        shape = geometry.output_shape
        weights = np.full(shape, 0.25) if name == "average" else drawn(geometry.weights_shape, 6)
        bias = np.zeros(shape) if name == "average" else np.broadcast_to(drawn(shape[-1:], 16), shape)
        populations.append(Population(name, "spiking", shape, np.array(bias), depth))
        projections.append(Projection(source, name, geometry, weights))
    return Network(tuple(populations), tuple(projections), (8, 8, 1), grid=2.0**-24)


def write(path: Path, nodes: dict[str, Any], edges: Any, version: str = "1.0.4") -> Path:
    """Write a graph as nir does: a dict of (type, fields) by name."""
    with h5py.File(path, "w") as file:
        file["version"] = version
        file["node/type"] = "NIRGraph"
        file["node/edges"] = np.array(edges, dtype=h5py.string_dtype())
        for name, (kind, fields) in nodes.items():
            file[f"node/nodes/{name}/type"] = kind
            for key, value in fields.items():
                file[f"node/nodes/{name}/{key}"] = value
    return path


def neurons(shape: tuple[int, ...], threshold: float = 1.0, kind: str = "IF", **more: Any) -> tuple[str, Any]:
    """Return a node of neurons."""
    return kind, {"r": np.ones(shape, np.float32), "v_threshold": np.full(shape, threshold, np.float32), **more}


def main(folder: Path) -> None:
    """Write it for either reset, and for either resistance."""
    folder.mkdir(parents=True, exist_ok=True)
    for reset in ("subtraction", "zero"):
        write_nir(cnn(), folder / f"cnn_{reset}.nir", reset=reset)
        write_nir(cnn(), folder / f"cnn_{reset}_1e4.nir", reset=reset, r=1e4)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
