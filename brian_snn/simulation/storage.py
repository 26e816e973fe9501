"""Write a `Result` to a folder and read it back.

A result folder holds ``network.npz``, ``result.json`` (settings, format, versions, timings) and ``arrays.npz``.
Nothing in it is ever unpickled. A folder is written beside its place and renamed, so that it is there whole or not at
all.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from brian_snn.conversion.storage import load_network, save_network
from brian_snn.errors import BrianSnnError, DataError, OutputError
from brian_snn.simulation.result import Result
from brian_snn.simulation.settings import Settings

FORMAT = 1

_BY_POPULATION = (
    "spike_counts",
    "potentials",
    "charge",
    "surplus",
    "count_history",
    "total_counts",
    "spike_trains",
    "potential_traces",
)


def save_result(result: Result, folder: Path) -> None:
    """Write a result into a folder that does not exist yet or is empty.

    Raises
    ------
    OutputError
        If the folder holds anything, or cannot be written.
    """
    partial = folder.with_name(folder.name + ".partial")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(f"{folder} exists already and is not an empty folder; choose another or remove it.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        save_network(result.network, partial / "network.npz")
        _write_arrays(partial / "arrays.npz", _named_arrays(result))
        description = {
            "format": FORMAT,
            "settings": dataclasses.asdict(result.settings),
            "timings_s": result.timings_s,
        }
        (partial / "result.json").write_text(json.dumps(description, indent=1), "utf-8")
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except BrianSnnError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_result(folder: str | Path) -> Result:
    """Read a result that `Result.save` wrote.

    Raises
    ------
    DataError
        If the folder is not a result, or is damaged; the message names the file.
    """
    folder = Path(folder)
    if not (folder / "result.json").is_file():
        raise DataError(f"{folder} is not a result folder: it has no result.json. Make one with `brian-snn simulate`.")
    try:
        description = json.loads((folder / "result.json").read_text("utf-8"))
        if description["format"] != FORMAT:
            raise DataError(f"{folder} has result format {description['format']}; this version reads {FORMAT}.")
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            fields = _fields(dict(arrays))
        settings = Settings(**description["settings"])
        timings = dict(description["timings_s"])
    except BrianSnnError:
        raise
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{folder} is damaged ({error}); simulate again.") from error
    return Result(network=load_network(folder / "network.npz"), settings=settings, timings_s=timings, **fields)


def _named_arrays(result: Result) -> dict[str, np.ndarray[Any, Any]]:
    """Flatten the arrays of a result into one dictionary; populations by number, since their names may hold slashes."""
    numbers = {population.name: number for number, population in enumerate(result.network.populations)}
    arrays = {
        "images": np.asarray(result.images),
        "checkpoints": result.checkpoints,
        "names": np.array(list(numbers), dtype=np.str_),
    }
    if result.output_history is not None:
        arrays["output_history"] = result.output_history
    for field in _BY_POPULATION:
        for name, values in getattr(result, field).items():
            arrays[f"{field}:{numbers[name]}"] = values
    for (name, step), values in result.early_counts.items():
        arrays[f"early_counts:{numbers[name]}:{step}"] = values
    return arrays


def _fields(arrays: dict[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """Undo `_named_arrays`."""
    names = [str(name) for name in arrays["names"]]
    fields: dict[str, Any] = {
        "images": arrays["images"],
        "checkpoints": arrays["checkpoints"],
        "output_history": arrays.get("output_history"),
        "early_counts": {},
    }
    fields.update({field: {} for field in _BY_POPULATION})
    for key, values in arrays.items():
        field, *rest = key.split(":")
        if field == "early_counts":
            fields[field][names[int(rest[0])], int(rest[1])] = values
        elif field in _BY_POPULATION:
            fields[field][names[int(rest[0])]] = values
    return fields


def _write_arrays(path: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Write an .npz file with the fastest compression: counts and potentials on a grid shrink well even so."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
