"""``brian-snn sweep``: a grid of simulations into one tidy table.

The grid is a TOML file: what stays the same at its top, and under ``[grid]`` a list of values for everything that does
not. Each point of the grid is simulated, verified and reduced to one row; its row is kept in the output folder as soon
as it is known, so that an interrupted sweep goes on where it stopped, and one with more values simulates only what is
new. Networks of one topology share a compiled binary, whatever else differs.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import time
import tomllib
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from brian_snn import knobs
from brian_snn.analysis.classification import accuracy, predictions_of
from brian_snn.analysis.operations import COUNT_NAMES, ann_operations, snn_operations
from brian_snn.analysis.verify import verify
from brian_snn.answers import Answer
from brian_snn.checks import whole_number
from brian_snn.cli.console import Stages, new_console, table
from brian_snn.cli.options import FAILED
from brian_snn.conversion.convert import convert
from brian_snn.datasets import Dataset, first_images, load_images
from brian_snn.errors import DataError, Interrupted, OutputError, SettingError
from brian_snn.escaping import csv_safe
from brian_snn.files import staged_file
from brian_snn.files import sweep as sweep_folder
from brian_snn.frontends.table import load_model
from brian_snn.knobs import from_plain
from brian_snn.network.network import Network
from brian_snn.network.output import answer_of
from brian_snn.reading import check_tree, parsed_json, read_text
from brian_snn.results.folder import discard
from brian_snn.results.result import Result
from brian_snn.running.executors import connect
from brian_snn.running.simulate import simulate
from brian_snn.settings import Conversion, Settings

#: Options of the conversion that may vary.
_CONVERSION = ("percentile", "normalisation", "grid")

_FILES = ("model", "calibration", "data")
_MAY_VARY = ("model", *_CONVERSION, *(field.name for field in fields(Settings)))
_FIXED = ("calibration", "data", "images", "verify", "any_range", *_MAY_VARY)

_MOST_POINTS = 10_000

_ROWS, _RUNNING = "points", "running"


@dataclass(frozen=True)
class Sweep:
    """A grid of simulations.

    Parameters
    ----------
    folder : Path
        What the paths of models are relative to.
    calibration, data : Path
        Images that set lambda, and images to simulate, with labels where the network names classes.
    images : int or None
        Simulate the first so many images only.
    verify : bool
        Whether every point is checked against the rate equations and Keras.
    any_range : bool
        Whether the images may be far from the range of those that set lambda.
    points : tuple of dict
        What varies and what does not: ``model`` and the options of conversion and simulation, complete.
    varies : tuple of str
        Names of what varies.
    """

    folder: Path
    calibration: Path
    data: Path
    images: int | None
    verify: bool
    any_range: bool
    points: tuple[dict[str, Any], ...]
    varies: tuple[str, ...]


def read_sweep(path: Path) -> Sweep:
    """Read a sweep from a TOML file; its paths are relative to the file.

    Raises
    ------
    SettingError
        If the file is no TOML, an entry is unknown or missing, or a value is outside its range; names file and entry.
    """
    try:
        given = tomllib.loads(read_text(path, str(path), SettingError))
        check_tree(given)
    except SettingError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise SettingError(f"{path}: it is no TOML file ({error}).") from error
    grid = given.pop("grid", {}) if isinstance(given.get("grid"), dict) else {}
    for entries, allowed, where in ((given, _FIXED, "the top"), (grid, _MAY_VARY, "[grid]")):
        for name in entries:
            if name not in allowed:
                raise SettingError(f"{path}: {name!r} is unknown at {where}; it may hold {', '.join(allowed)}.")
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise SettingError(f"{path}: {name} in [grid] is {values!r}; a list of values was expected.")
        if name in given:
            raise SettingError(f"{path}: {name} stands at the top and in [grid]; one of them is enough.")
    for name in _FILES:
        if name not in given and name not in grid:
            raise SettingError(f"{path}: {name} is missing; name a file.")
    return _sweep(path, given, grid)


def _sweep(path: Path, given: dict[str, Any], grid: dict[str, list[Any]]) -> Sweep:
    """Check the values and multiply out the grid."""
    constant = {name: value for name, value in given.items() if name in _MAY_VARY}
    if (n_points := math.prod(map(len, grid.values()))) > _MOST_POINTS:
        raise SettingError(f"{path}: [grid] has {n_points:,} points; {_MOST_POINTS:,} at most, so make several sweeps.")
    varied = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    try:
        points = tuple(_checked_point(constant | values, path.parent) for values in varied)
        times = Counter(tuple(point.values()) for point in points)
        twice = [values for values, point in zip(varied, points, strict=True) if times[tuple(point.values())] > 1]
        if twice:
            raise SettingError(f"[grid] gives {twice[0]} twice; once is enough.")
        images = None if "images" not in given else whole_number("images", given["images"], 1)
        check, any_range = (_flag(given, name, default) for name, default in (("verify", True), ("any_range", False)))
        calibration, data = (_existing(name, given[name], path.parent) for name in ("calibration", "data"))
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from error
    return Sweep(path.parent, calibration, data, images, check, any_range, points, tuple(map(_column, grid)))


def _column(name: str) -> str:
    """Return the column of what varies: that of a time is in seconds and says so."""
    is_time = any(knob.name == name and knobs.is_time(knob) for knob in fields(Settings))
    return f"{name}_s" if is_time else name


def _flag(given: dict[str, Any], name: str, default: bool) -> bool:
    """Return an entry that is true or false."""
    flag = given.get(name, default)
    if not isinstance(flag, bool):
        raise SettingError(f"{name} is {flag!r}; it must be true or false.")
    return flag


def _checked_point(point: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a point of the grid with all its settings, or raise at a value that is none."""
    _existing("model", point["model"], folder)
    conversion, settings = from_plain(Conversion, point), from_plain(Settings, point)
    return {"model": point["model"]} | {name: getattr(conversion, name) for name in _CONVERSION} | settings.numbers()


def _existing(name: str, value: object, folder: Path) -> Path:
    """Return the path of a file or folder, or raise if it is none."""
    if not isinstance(value, str):
        raise SettingError(f"{name} is {value!r}; it must be the name of a file, in quotes.")
    if not (folder / value).exists():
        raise SettingError(f"{name} is {value!r}; there is no such file in {folder}.")
    return folder / value


def run(arguments: Namespace) -> int:
    """Run a sweep, show its table, and return 0, or 1 if a point fails its verification."""
    console = new_console()
    sweep = read_sweep(arguments.sweep)
    sweep = replace(sweep, any_range=sweep.any_range or arguments.any_range)
    folder = arguments.output
    executor = connect(arguments.scheduler) if arguments.scheduler else None
    execution = {"workers": arguments.workers, "executor": executor}
    _make_folder(folder)
    try:
        frame = pd.DataFrame(_rows(console, sweep, execution, folder))
    except KeyboardInterrupt:
        n_done = len(list((folder / _ROWS).iterdir()))
        raise Interrupted(f"interrupted; {folder} keeps {n_done} point(s), and the same command goes on.") from None
    for name, write in (("sweep.csv", csv_safe(frame).to_csv), ("sweep.parquet", frame.to_parquet)):
        with staged_file(folder / name) as staged:
            write(staged, index=False)
    console.print(table(list(_shown(frame, sweep)), sweep.varies))
    console.print(f"wrote {folder / 'sweep.csv'} and {folder / 'sweep.parquet'}")
    return 0 if not sweep.verify or bool(frame["verified"].all()) else FAILED


def _rows(console: Console, sweep: Sweep, execution: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Return the row of every point; those that the folder has not are simulated and kept there."""
    models, rows = _Models(sweep), []
    for number, point in enumerate(sweep.points, 1):
        path = folder / _ROWS / f"{_digest(sweep, point)}.json"
        row = _read_row(path)
        if row is None:
            what = ", ".join(f"{name} {_short(point[name])}" for name in sweep.varies)
            with Stages(console) as stages:
                row = _simulate_point(
                    stages, f"{number}/{len(sweep.points)} {what}", models, sweep, point, execution, folder
                )
            with staged_file(path) as staged:
                staged.write_text(json.dumps(row, indent=1), "utf-8")
        rows.append(row)
    # What it may still hold is of points that were interrupted and then left out of the grid.
    with suppress(OSError):
        (folder / _RUNNING).rmdir()
    return rows


def _read_row(path: Path) -> dict[str, Any] | None:
    """Return a row that was kept; None if there is none, or what a power cut left of it."""
    try:
        row = parsed_json(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return row if isinstance(row, dict) else None


class _Models:
    """The models of a sweep, their networks, images and own accuracy, each made once."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self.network, self.accuracy = cache(self._network), cache(self._accuracy)
        self.data, self._model = cache(self._data), cache(self._load)

    def _load(self, path: str) -> Any:
        return load_model(self._sweep.folder / path)

    def _network(self, path: str, **options: Any) -> Network:
        """Return a model converted with options of the conversion."""
        return convert(self._model(path), self._sweep.calibration, **options)

    def _data(self, path: str, answer: Answer) -> Dataset:
        """Return the images for a model, and labels if its output means classes."""
        shape = tuple(self._model(path).input_shape[1:])
        data = first_images(load_images(self._sweep.data, shape, answer=answer), self._sweep.images)
        if data.labels is None and answer.names_classes:
            raise DataError(f"{self._sweep.data}: it has no labels; a sweep needs them for the accuracy.")
        return data

    def _accuracy(self, path: str, answer: Answer) -> float | None:
        """Return the accuracy of a trained model, None if its output means numbers."""
        data = self.data(path, answer)
        if data.labels is None:
            return None
        scores = np.asarray(self._model(path).predict(data.images, verbose=0), np.float64)
        # Keras applies the sigmoid that is a yes above one half; others keep the order of classes.
        return accuracy(data.labels, answer.of(scores - 0.5 if answer.meaning == "yes_no" else scores)).share


def _simulate_point(
    stages: Stages,
    name: str,
    models: _Models,
    sweep: Sweep,
    point: dict[str, Any],
    execution: dict[str, Any],
    folder: Path,
) -> dict[str, Any]:
    """Simulate a point of the grid in a folder of its own, which is gone afterwards, and return its row."""
    network = models.network(point["model"], **{name: point[name] for name in _CONVERSION})
    answer = answer_of(network)
    data = models.data(point["model"], answer)
    settings = Settings.from_numbers({name: point[name] for name in Settings().numbers()})
    running = folder / _RUNNING / _digest(sweep, point)
    bars = stages.simulation(name, len(data.images))
    start = time.perf_counter()
    result = simulate(
        network,
        data.images,
        settings,
        output=running,
        any_range=sweep.any_range,
        **execution,
        **bars.callbacks,
    )
    bars.finish(result.timings_s)
    row = point | {"ann_accuracy": models.accuracy(point["model"], answer)} | _measured(result, data, sweep.verify)
    row["seconds"] = round(time.perf_counter() - start, 3)
    discard(running)
    return row


def _measured(result: Result, data: Dataset, check: bool) -> dict[str, Any]:
    """Return what a row says of a simulation; its accuracy is None if the output means numbers."""
    n_images = len(result.images)
    spikes = sum(int(part.spike_counts[p.name].sum()) for part in result.parts() for p in result.network.populations)
    row: dict[str, Any] = {
        "n_images": n_images,
        "accuracy": None if data.labels is None else accuracy(data.labels, predictions_of(result)).share,
        "spikes_per_image": spikes / n_images,
        "operations_per_image": float(snn_operations(result).mean()),
        "ann_operations": ann_operations(result.network),
        "paper_operations_per_image": float(snn_operations(result, "paper").mean()),
        "ann_paper_operations": ann_operations(result.network, "paper"),
    }
    if check:
        report = verify(result)
        row |= {
            "verified": bool(report["holds"].all()),
            "identities": int(report["neurons"].sum()),
            "max_residual_charge": float(report["max_residual_charge"].max()),
        }
    return row


def _make_folder(folder: Path) -> None:
    """Make the output folder, or raise if it holds anything that is not a sweep's."""
    own = {_ROWS, _RUNNING, "sweep.csv", "sweep.parquet"}
    try:
        found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        # Hidden files are tables that were being written when a sweep was killed, or the file system's.
        if foreign := {name for name in found - own if not name.startswith(".")}:
            raise OutputError(
                f"{folder}: holds files of something else ({', '.join(sorted(foreign))}); name another folder."
            )
        for part in (folder, folder / _ROWS, folder / _RUNNING):
            if part.is_symlink() and part != folder:
                raise OutputError(f"{part} is a link; what is written there would be elsewhere. Name another folder.")
        (folder / _ROWS).mkdir(parents=True, exist_ok=True)
        for part in (folder, folder / _ROWS):
            sweep_folder(part)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); name another folder.") from error


def _digest(sweep: Sweep, point: dict[str, Any]) -> str:
    """Return a name for a point: a hash of its options and of the content of its files."""
    digest = hashlib.sha256(json.dumps([point, sweep.images, sweep.verify], sort_keys=True).encode())
    for path in (sweep.folder / point["model"], sweep.calibration, sweep.data):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                with file.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def _short(value: Any) -> str:
    """Return a value for the screen; of a path its last part."""
    return Path(value).name if isinstance(value, str) else f"{value:g}"


def _shown(frame: pd.DataFrame, sweep: Sweep) -> Iterator[dict[str, str]]:
    """Yield the rows of the table on the screen."""
    for _, row in frame.iterrows():
        shown = {name: _short(row[name]) for name in sweep.varies}
        for heading, column in (("accuracy", "accuracy"), ("trained network", "ann_accuracy")):
            if not frame[column].isna().all():
                shown[heading] = "-" if pd.isna(row[column]) else f"{100 * row[column]:.2f} %"
        shown[f"{COUNT_NAMES['synapses']} per image"] = f"{row['operations_per_image']:,.0f}"
        if sweep.verify:
            shown["largest residual"] = f"{row['max_residual_charge']:g}"
        yield shown
