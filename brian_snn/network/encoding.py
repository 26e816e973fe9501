"""How a network is written: numeric arrays by name, with the structure among them as the bytes of its JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from brian_snn.errors import OutputError
from brian_snn.files import whole_file
from brian_snn.network.records import Population, Projection

FORMAT = "brian_snn network"

#: Version 1 had a name for the image, and layers of the model as text, and said neither what the output means nor what
#: the network was calibrated on: see `brian_snn.network.file`.
VERSION = 2

_ARRAY_FIELDS = ("weights", "source_index", "target_index")

Arrays = dict[str, Any]


def encode(populations: Sequence[Population], projections: Sequence[Projection], fields: dict[str, Any]) -> Arrays:
    """Return the arrays of a network by name; `fields` are what else it holds, which JSON can."""
    arrays: Arrays = {}
    structure = {
        "format": FORMAT,
        "version": VERSION,
        **fields,
        "populations": [_population_record(p, k, arrays) for k, p in enumerate(populations)],
        "projections": [_projection_record(p, k, arrays) for k, p in enumerate(projections)],
    }
    arrays["structure"] = _as_array(structure)
    return arrays


def digest(arrays: Arrays) -> str:
    """Return a hash of all arrays, without the provenance that is in the structure."""
    structure = json.loads(arrays["structure"].tobytes()) | {"provenance": {}}
    arrays = arrays | {"structure": _as_array(structure)}
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + str(arrays[name].dtype).encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def write(arrays: Arrays, path: Path) -> None:
    """Write the arrays of a network; the file is there whole or not at all, whatever goes wrong.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        with whole_file(path) as file:
            np.savez_compressed(file, **arrays)
    except OSError as error:
        cause = error.__cause__ if isinstance(error, OutputError) else error
        reason = getattr(cause, "strerror", None) or error
        raise OutputError(f"network file {path}: it cannot be written ({reason}).") from error


def _as_array(structure: dict[str, Any]) -> Any:
    """Return the structure as the bytes of its JSON."""
    return np.frombuffer(json.dumps(structure).encode(), dtype=np.uint8)


def _population_record(population: Population, k: int, arrays: Arrays) -> dict[str, Any]:
    arrays[f"bias_{k}"] = population.bias
    arrays[f"scale_{k}"] = np.asarray(population.scale, dtype=np.float64)
    fields: tuple[str, ...] = ("name", "kind", "shape", "depth", "ceiling", "reference")
    # Only where they are its own: the files and hashes of all others stay what they were.
    own = {"leak": 0.0, "threshold": 1.0, "v_init": None, "clamp": None, "levels": None}
    fields += tuple(field for field, usual in own.items() if getattr(population, field) != usual)
    return {field: getattr(population, field) for field in fields}


def _projection_record(projection: Projection, k: int, arrays: Arrays) -> dict[str, Any]:
    present = [field for field in _ARRAY_FIELDS if getattr(projection, field) is not None]
    arrays.update({f"{field}_{k}": getattr(projection, field) for field in present})
    return {
        "source": projection.source,
        "target": projection.target,
        "geometry": asdict(projection.geometry),
        "arrays": present,
    }
