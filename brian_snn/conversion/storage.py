"""Save and load networks: one ``.npz`` of numeric arrays, with the structure in it as JSON.

Nothing in the file is code, and loading it needs neither Keras nor pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from brian_snn.conversion.graph import Geometry, Network, Population, Projection
from brian_snn.conversion.validity import check_network
from brian_snn.errors import READ_ERRORS, DataError, OutputError

_FORMAT = "brian_snn network"
_VERSION = 2
#: Format of the files that say neither what their output means nor what they were calibrated on.
_WITHOUT_MEANING = 1
_ARRAY_FIELDS = ("weights", "source_index", "target_index")

Arrays = dict[str, Any]


def save_network(network: Network, path: str | Path) -> None:
    """Write a network to a file.

    The file is written under another name and then renamed, so that a failure leaves no half of one.

    Parameters
    ----------
    network : Network
        Any stage of it.
    path : str or Path
        The file; its folder must exist.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = Path(path)
    try:
        _write(path, _encode(network))
    except OSError as error:
        raise OutputError(f"network file {path}: it cannot be written ({error.strerror or error}).") from error


def network_digest(network: Network) -> str:
    """Return a hash of everything in a network but its provenance."""
    arrays = _encode(replace(network, provenance={}))
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + str(arrays[name].dtype).encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _encode(network: Network) -> Arrays:
    """Return the arrays of a network by name, the structure as JSON among them."""
    arrays: Arrays = {}
    structure = {
        "format": _FORMAT,
        "version": _VERSION,
        "output_activation": network.output_activation,
        "calibration_range": network.calibration_range,
        "input_shape": network.input_shape,
        "percentile": network.percentile,
        "normalisation": network.normalisation,
        "grid": network.grid,
        "provenance": network.provenance,
        "populations": [_population_record(p, k, arrays) for k, p in enumerate(network.populations)],
        "projections": [_projection_record(p, k, arrays) for k, p in enumerate(network.projections)],
    }
    if network.output_activation == "unknown":
        # As it came, so that its hash in a result folder stays what it was.
        structure["version"] = _WITHOUT_MEANING
        del structure["output_activation"], structure["calibration_range"]
    arrays["structure"] = np.frombuffer(json.dumps(structure).encode(), dtype=np.uint8)
    return arrays


def _write(path: Path, arrays: Arrays) -> None:
    """Write arrays beside the file and put them in its place."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez_compressed(file, **arrays)
        # The temporary file is private; a file that a program writes is usually readable as the umask says.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _population_record(population: Population, k: int, arrays: Arrays) -> dict[str, Any]:
    arrays[f"bias_{k}"] = population.bias
    arrays[f"scale_{k}"] = np.asarray(population.scale, dtype=np.float64)
    fields = ("name", "kind", "shape", "depth", "ceiling", "reference")
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


def load_network(path: str | Path) -> Network:
    """Read a network from a file that `save_network` wrote.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    network : Network
        As it was saved.

    Raises
    ------
    DataError
        If there is no such file, or if it is damaged or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"network file {path}: there is no such file.")
    try:
        # NumPy leaves a file open that it opened itself and cannot read.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    # A file that is no archive at all comes back as an array, which is no context manager.
    except READ_ERRORS as error:
        raise DataError(f"network file {path}: it is damaged or no network file; save the network again.") from error
    structure = _structure(path, arrays)
    try:
        network = _network(structure, arrays)
        check_network(network)
    except READ_ERRORS as error:
        raise DataError(f"network file {path}: it is damaged ({error}); save the network again.") from error
    return network


def _structure(path: Path, arrays: Arrays) -> dict[str, Any]:
    """Return the structure of a file, checked to be ours."""
    try:
        structure = json.loads(arrays["structure"].tobytes())
        kind, version = structure["format"], structure["version"]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"network file {path}: it holds no network; write one with Network.save.") from error
    if kind != _FORMAT:
        raise DataError(f"network file {path}: it holds {kind!r}, not a network; write one with Network.save.")
    if version not in (_WITHOUT_MEANING, _VERSION):
        raise DataError(
            f"network file {path}: its format is version {version}, this program reads up to version {_VERSION}; "
            "convert the model again."
        )
    return structure


def _network(structure: dict[str, Any], arrays: Arrays) -> Network:
    """Rebuild the records."""
    populations = [_population(record, k, arrays) for k, record in enumerate(structure["populations"])]
    projections = [_projection(record, k, arrays) for k, record in enumerate(structure["projections"])]
    return Network(
        tuple(populations),
        tuple(projections),
        tuple(structure["input_shape"]),
        structure["percentile"],
        structure["normalisation"],
        structure["grid"],
        structure["provenance"],
        "unknown" if structure["version"] == _WITHOUT_MEANING else structure["output_activation"],
        None if structure.get("calibration_range") is None else tuple(structure["calibration_range"]),
    )


def _population(record: dict[str, Any], k: int, arrays: Arrays) -> Population:
    scale = arrays[f"scale_{k}"]
    fields = record | {"shape": tuple(record["shape"])}
    bias = arrays[f"bias_{k}"].reshape(fields["shape"])
    return Population(**fields, bias=bias, scale=scale if scale.ndim else float(scale))


def _projection(record: dict[str, Any], k: int, arrays: Arrays) -> Projection:
    geometry = Geometry(**{name: _tuples(value) for name, value in record["geometry"].items()})
    present = {field: arrays[f"{field}_{k}"] for field in record["arrays"]}
    weights = present.pop("weights", None)
    return Projection(record["source"], record["target"], geometry, weights, **present)


def _tuples(value: Any) -> Any:
    """Return JSON's lists as tuples."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
