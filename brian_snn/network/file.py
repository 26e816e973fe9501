"""Read networks: one ``.npz`` of numeric arrays, with the structure in it as JSON.

Nothing in the file is code, and loading it needs neither the framework of the model nor pickle. The structure is read
first, of which there may be 16 MiB; then the arrays that it names, in the shapes that it says, and nothing else. Only
the reading of the file (`brian_snn.network.archive`) is guarded against what damaged files come to; what the records
say of its content is a sentence, and any other error is our own.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from brian_snn.errors import DataError, ModelError
from brian_snn.network.archive import Archive
from brian_snn.network.encoding import FORMAT, VERSION, digest
from brian_snn.network.geometry import check_geometry
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, LayerPath, Population, Projection
from brian_snn.network.validity import shape_of, shown

#: The structure of a network of a thousand layers takes half a megabyte.
_STRUCTURE_BYTES, _MOST_RECORDS = 2**24, 10_000


_Kind = TypeVar("_Kind")


def load_network(path: str | Path) -> Network:
    """Read a network from a file that `Network.save` wrote.

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
    return read_network(Path(path))[0]


def read_network(path: Path) -> tuple[Network, str]:
    """Do what `load_network` does, and return the `Network.digest` that the file had when it was written as well."""
    if not path.is_file():
        raise DataError(f"network file {path}: there is no such file.")
    with Archive(path) as archive:
        try:
            network = _network(_structure(path, archive), archive)
            return network, digest(archive.arrays)
        except ModelError as error:
            raise DataError(f"network file {path}: it is damaged ({error}); save the network again.") from error
        except RecursionError as error:
            raise DataError(
                f"network file {path}: it is damaged (lists are in lists, too deep); save the network again."
            ) from error


def _structure(path: Path, archive: Archive) -> dict[str, Any]:
    """Return the structure of a file, checked to be ours."""
    nothing = DataError(f"network file {path}: it holds no network; write one with Network.save.")
    if "structure" not in archive:
        raise nothing
    try:
        structure = json.loads(archive.read("structure", most_bytes=_STRUCTURE_BYTES).tobytes())
    except (ModelError, DataError):
        raise
    except ValueError as error:
        raise nothing from error
    if not isinstance(structure, dict) or not {"format", "version"} <= set(structure):
        raise nothing
    kind, version = structure["format"], structure["version"]
    if kind != FORMAT:
        raise DataError(f"network file {path}: it holds {shown(kind)}, not a network; write one with Network.save.")
    if type(version) is not int or version < 1:
        raise DataError(
            f"network file {path}: it is damaged (its version is {shown(version)}); save the network again."
        )
    if version > VERSION:
        raise DataError(
            f"network file {path}: it was written by a newer brian_snn: its format is version {version}, this program "
            f"reads version {VERSION}; upgrade brian_snn, or convert the model again."
        )
    return structure


def _entry(record: dict[str, Any], name: str, *kinds: type[_Kind]) -> _Kind:
    """Return an entry of the structure, or raise a `ModelError` if it is missing or of another type."""
    value = record.get(name)
    if not isinstance(value, kinds):
        raise ModelError(f"{name} is {shown(value)}; {' or '.join(kind.__name__ for kind in kinds)} was expected")
    return value


def _network(structure: dict[str, Any], archive: Archive) -> Network:
    """Rebuild the records; raise a `ModelError` if they cannot be those of a network."""
    populations = [_population(record, k, archive) for k, record in enumerate(_records(structure, "populations"))]
    projections = [_projection(record, k, archive) for k, record in enumerate(_records(structure, "projections"))]
    return Network(
        tuple(populations),
        tuple(projections),
        tuple(_entry(structure, "input_shape", list)),
        _entry(structure, "percentile", int, float),
        _entry(structure, "normalisation", str),
        _entry(structure, "grid", int, float),
        _entry(structure, "provenance", dict),
        "unknown" if structure["version"] == 1 else _entry(structure, "output_activation", str),
        _tuples(structure.get("calibration_range")),
        structure.get("inputs", ()),
        _tuples(structure.get("heads", ())),
        structure.get("simulation", {}),
    )


def _records(structure: dict[str, Any], part: str) -> list[dict[str, Any]]:
    """Return the records of the populations or projections, as the newest version has them."""
    records = [_entry({part: record}, part, dict) for record in _entry(structure, part, list)]
    if len(records) > _MOST_RECORDS:
        raise ModelError(f"there are {len(records)} {part}; up to {_MOST_RECORDS} were expected")
    return [_from_version_1(record) for record in records] if structure["version"] == 1 else records


def _population(record: dict[str, Any], k: int, archive: Archive) -> Population:
    name = _entry(record, "name", str)
    shape = shape_of(_entry(record, "shape", list), f"population {shown(name)}")
    scale = archive.read(f"scale_{k}", (), shape[-1:])
    return Population(
        name,
        record.get("kind"),  # type: ignore[arg-type]
        shape,
        archive.read(f"bias_{k}", shape),
        _entry(record, "depth", int),
        scale if scale.ndim else float(scale),
        record.get("ceiling"),
        tuple(_layer_path(path) for path in _entry(record, "reference", list)),
        record.get("leak", 0.0),
        record.get("threshold", 1.0),
        record.get("v_init"),
        record.get("clamp"),
        record.get("levels"),
    )


def _layer_path(path: object) -> LayerPath:
    """Return a path as it is in the structure: a list of the names, and the number of the use."""
    if isinstance(path, list) and len(path) == 2 and isinstance(path[0], list) and type(path[1]) is int:
        return LayerPath(tuple(path[0]), path[1])
    raise ModelError(f"reference holds {shown(path)}, which is no path of a layer")


def _projection(record: dict[str, Any], k: int, archive: Archive) -> Projection:
    entries = {name: _tuples(value) for name, value in _entry(record, "geometry", dict).items()}
    if set(entries) != {field.name for field in fields(Geometry)}:
        raise ModelError(f"a geometry has the entries {shown(sorted(entries))}")
    source, target, geometry = record.get("source", ""), _entry(record, "target", str), Geometry(**entries)
    shapes = _array_shapes(geometry, f"projection {shown(source)} -> {shown(target)}")
    kept = _entry(record, "arrays", list)
    if strange := [name for name in kept if name not in tuple(shapes)]:
        raise ModelError(f"a {geometry.kind} map has no array {shown(strange[0])}")
    present = {name: archive.read(f"{name}_{k}", shape) for name, shape in shapes.items() if name in kept}
    return Projection(source, target, geometry, present.pop("weights", None), **present)


def _array_shapes(geometry: Geometry, where: str) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array that may go with a map."""
    check_geometry(geometry, where)
    shapes: dict[str, tuple[int, ...]] = {"source_index": (geometry.n_in,), "target_index": (geometry.n_out,)}
    return shapes if geometry.weights_shape is None else shapes | {"weights": geometry.weights_shape}


def _tuples(value: Any) -> Any:
    """Return JSON's lists, and the lists in them, as tuples; what lies deeper is no number of a map."""
    if not isinstance(value, list):
        return value
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def _from_version_1(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a population or projection as version 2 has it.

    The image was called ``<input>``. A layer was ``outer/inner:1`` at its second use, and ``conv > norm`` was one after
    the other.
    """
    if "source" in record:
        return record | {"source": INPUT if record["source"] == "<input>" else record["source"]}
    reference = _entry(record, "reference", str)
    return record | {"reference": [_path_of_version_1(path) for path in reference.split(" > ") if path]}


def _path_of_version_1(path: str) -> list[Any]:
    *outer, last = path.split("/")
    name, colon, use = last.rpartition(":")
    numbered = bool(colon) and use.isdecimal()
    return [[*outer, name if numbered else last], int(use) if numbered else 0]
