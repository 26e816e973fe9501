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
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from brian_snn.analysis.classification import accuracy, predictions_of
from brian_snn.analysis.operations import COUNT_COLUMNS, COUNT_NAMES, ann_operations, snn_operations
from brian_snn.analysis.verify import verify
from brian_snn.answers import Answer
from brian_snn.checks import whole_number
from brian_snn.cli.console import Stages, frame_rows, new_console, show_json, table
from brian_snn.cli.options import FAILED
from brian_snn.conversion.convert import convert
from brian_snn.conversion_settings import Conversion
from brian_snn.datasets import Dataset, first_images, load_images
from brian_snn.errors import DataError, Interrupted, OutputError, SettingError
from brian_snn.escaping import csv_safe
from brian_snn.files import staged_file
from brian_snn.files import sweep as sweep_folder
from brian_snn.frontends.table import load_model, scores_of
from brian_snn.inputs import Inputs
from brian_snn.knobs import from_plain
from brian_snn.network.output import answer_of
from brian_snn.reading import check_tree, parsed_json, read_text, sha256_of
from brian_snn.results.folder import discard
from brian_snn.results.result import Result
from brian_snn.running.executors import connect
from brian_snn.running.simulate import simulate
from brian_snn.settings import Settings

#: Options of the conversion that may vary.
_CONVERSION = ("percentile", "normalisation", "grid", "average_pooling")
# Only where weights have few bits.
_WEIGHTS = ("weight_bits", "weight_scales", "finer_biases")
_MAY_VARY = ("model", *_CONVERSION, *_WEIGHTS, *(field.name for field in fields(Settings)))
_FILES = ("model", "calibration", "data")
_FLAGS = {"verify": True, "any_range": False}
_AT_THE_TOP = ("calibration", "data", "images", *_FLAGS, *_MAY_VARY)
_MOST_POINTS = 10_000

_ROWS, _RUNNING, _CSV, _PARQUET = "points", "running", "sweep.csv", "sweep.parquet"
_OWN = {_ROWS, _RUNNING, _CSV, _PARQUET}


@dataclass(frozen=True)
class Sweep:
    """A grid of simulations.

    Models are relative to `folder`. Each point is a model and all options of conversion and simulation; `varies` names
    what is not the same in all of them.
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
    try:
        _check_entries(given, grid)
        return _sweep(given, grid, path.parent)
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from error


def _check_entries(given: dict[str, Any], grid: dict[str, Any]) -> None:
    """Raise unless all entries are known, in one place, and enough."""
    for entries, allowed, where in ((given, _AT_THE_TOP, "the top"), (grid, _MAY_VARY, "[grid]")):
        if unknown := [name for name in entries if name not in allowed]:
            raise SettingError(f"{unknown[0]!r} is unknown at {where}; it may hold {', '.join(allowed)}.")
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise SettingError(f"{name} in [grid] is {values!r}; a list of values was expected.")
        if name in given:
            raise SettingError(f"{name} stands at the top and in [grid]; one of them is enough.")
    if missing := [name for name in _FILES if name not in given | grid]:
        raise SettingError(f"{missing[0]} is missing; name a file.")
    if (n_points := math.prod(map(len, grid.values()))) > _MOST_POINTS:
        raise SettingError(f"[grid] has {n_points:,} points; {_MOST_POINTS:,} at most, so make several sweeps.")
    for name in _FLAGS:
        if not isinstance(given.get(name, False), bool):
            raise SettingError(f"{name} is {given[name]!r}; it must be true or false.")


def _sweep(given: dict[str, Any], grid: dict[str, list[Any]], folder: Path) -> Sweep:
    """Multiply out the grid and check the values."""
    points: list[dict[str, Any]] = []
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    for values in itertools.product(*grid.values()):
        varied = dict(zip(grid, values, strict=True))
        points.append(_point(given | varied, folder))
        if (before := seen.setdefault(tuple(points[-1].values()), varied)) is not varied:
            raise SettingError(f"[grid] gives {before} twice; once is enough.")
    images = whole_number("images", given["images"], 1) if "images" in given else None
    calibration, data = (_existing(name, given[name], folder) for name in ("calibration", "data"))
    # The column of a time is in seconds and says so.
    varies = tuple(name if name in points[0] else f"{name}_s" for name in grid)
    flags = {name: given.get(name, default) for name, default in _FLAGS.items()}
    return Sweep(folder, calibration, data, images, points=tuple(points), varies=varies, **flags)


def _point(entries: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a point of the grid with all its settings, or raise at a value that is none."""
    _existing("model", entries["model"], folder)
    conversion, settings = from_plain(Conversion, entries), from_plain(Settings, entries)
    names = (*_CONVERSION, *(_WEIGHTS if conversion.weight_bits is not None else ()))
    return {"model": entries["model"]} | {name: getattr(conversion, name) for name in names} | settings.numbers()


def _existing(name: str, value: object, folder: Path) -> Path:
    """Return the path of a file or folder, or raise if it is none."""
    if not isinstance(value, str):
        raise SettingError(f"{name} is {value!r}; it must be the name of a file, in quotes.")
    if not (folder / value).exists():
        raise SettingError(f"{name} is {value!r}; there is no such file in {folder}.")
    return folder / value


def run(arguments: Namespace) -> int:
    """Run a sweep, show its table, and return 0, or 1 if a point fails its verification."""
    console, sweep, folder = new_console(), read_sweep(arguments.sweep), arguments.output
    executor = connect(arguments.scheduler) if arguments.scheduler else None
    options = {"workers": arguments.workers, "threads": arguments.threads, "executor": executor}
    options |= {"any_range": sweep.any_range or arguments.any_range}
    _make_folder(folder)
    try:
        frame = pd.DataFrame(_rows(sweep, folder, options))
    except KeyboardInterrupt:
        n_done = len(list((folder / _ROWS).iterdir()))
        raise Interrupted(f"interrupted; {folder} keeps {n_done} point(s), and the same command goes on.") from None
    written = {_CSV: csv_safe(frame).to_csv} | ({_PARQUET: frame.to_parquet} if find_spec("pyarrow") else {})
    for name, write in written.items():
        with staged_file(folder / name) as staged:
            write(staged, index=False)
    console.print(table(_shown(frame, sweep), sweep.varies))
    console.print(f"wrote {' and '.join(str(folder / name) for name in written)}")
    show_json({"output": folder, "points": frame_rows(frame)})
    return 0 if not sweep.verify or bool(frame["verified"].all()) else FAILED


def _make_folder(folder: Path) -> None:
    """Make the output folder, or raise if it holds anything that is not a sweep's."""
    found = list(folder.iterdir()) if folder.is_dir() else []
    # Hidden files are tables that were being written when a sweep was killed, or the file system's.
    foreign = [path.name for path in found if (path.name[0] != "." and path.name not in _OWN) or path.is_symlink()]
    if foreign:
        names = ", ".join(sorted(foreign))
        raise OutputError(f"{folder}: holds files of something else ({names}); name another folder.")
    (folder / _ROWS).mkdir(parents=True, exist_ok=True)
    for part in (folder, folder / _ROWS):
        sweep_folder(part)


def _rows(sweep: Sweep, folder: Path, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the row of every point; those that the folder has not are simulated and kept there."""
    models, rows = _Models(sweep), []
    for number, point in enumerate(sweep.points, 1):
        digest = _digest(sweep, point)
        path = folder / _ROWS / f"{digest}.json"
        row = _kept_row(path)
        if row is None:
            what = ", ".join(_told(name, point[name]) for name in sweep.varies)
            running = folder / _RUNNING / digest
            with Stages() as stages:
                row = _simulated(stages, f"{number}/{len(sweep.points)} {what}", models, point, running, options)
            with staged_file(path) as staged:
                staged.write_text(json.dumps(row, indent=1), "utf-8")
        rows.append(row)
    # What it may still hold is of points that were interrupted and then left out of the grid.
    with suppress(OSError):
        (folder / _RUNNING).rmdir()
    return rows


def _kept_row(path: Path) -> dict[str, Any] | None:
    """Return a row that was kept; None if there is none, or what a power cut left of it."""
    try:
        row = parsed_json(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return row if isinstance(row, dict) else None


class _Models:
    """The models of a sweep, their networks, images and own accuracy, each made once."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.model = cache(lambda name: load_model(sweep.folder / name))
        self.network = cache(lambda name, **how: convert(self.model(name), sweep.calibration, **how))
        self.data, self.accuracy = cache(self._data), cache(self._accuracy)

    def _data(self, shape: tuple[int, ...], inputs: Inputs, answer: Answer) -> Dataset:
        """Return images of a shape, and labels if the output of a network means classes."""
        loaded = load_images(self.sweep.data, shape, answer=answer, inputs=inputs)
        data = first_images(loaded, self.sweep.images)
        if data.labels is None and answer.names_classes:
            raise DataError(f"{self.sweep.data}: it has no labels; a sweep needs them for the accuracy.")
        return data

    def _accuracy(self, name: str, *shown: Any) -> float | None:
        """Return the accuracy of a trained model, None if its output means numbers."""
        data, answer = self.data(*shown), shown[-1]
        if data.labels is None:
            return None
        scores = scores_of(self.model(name), data.images)
        # The model applies the sigmoid that is a yes above one half; others keep the order of classes.
        return accuracy(data.labels, answer.of(scores - 0.5 if answer.meaning == "yes_no" else scores)).share


def _simulated(
    stages: Stages, name: str, models: _Models, point: dict[str, Any], running: Path, options: dict[str, Any]
) -> dict[str, Any]:
    """Simulate a point of the grid in a folder of its own, which is gone afterwards, and return its row."""
    how = {option: point[option] for option in (*_CONVERSION, *_WEIGHTS) if option in point}
    network = models.network(point["model"], **how)
    shown = (network.input_shape, network.inputs, answer_of(network))
    data = models.data(*shown)
    settings = Settings.from_numbers({number: point[number] for number in Settings().numbers()})
    bars = stages.simulation(name, len(data.images))
    start = time.perf_counter()
    result = simulate(network, data.images, settings, output=running, **options, **bars.callbacks)
    bars.finish(result.timings_s, one_line=True)
    row = point | {"ann_accuracy": models.accuracy(point["model"], *shown)}
    row |= _measured(result, data, models.sweep.verify)
    row["seconds"] = round(time.perf_counter() - start, 3)
    discard(running)
    return row


def _measured(result: Result, data: Dataset, check: bool) -> dict[str, Any]:
    """Return what a row says of a simulation; its accuracy is None if the output means numbers."""
    spikes = sum(int(part.spike_counts[p.name].sum()) for part in result.parts() for p in result.network.populations)
    row = {
        "n_images": len(result.images),
        "accuracy": None if data.labels is None else accuracy(data.labels, predictions_of(result)).share,
        "spikes_per_image": spikes / len(result.images),
    }
    for count, column in COUNT_COLUMNS.items():
        row[f"{column}_per_image"] = float(snn_operations(result, count).mean())
        row[f"ann_{column}"] = ann_operations(result.network, count)
    if check:
        report = verify(result)
        row["verified"], row["identities"] = bool(report["holds"].all()), int(report["neurons"].sum())
        row["max_residual_charge"] = float(report["max_residual_charge"].max())
    return row


def _digest(sweep: Sweep, point: dict[str, Any]) -> str:
    """Return a name for a point: a hash of its options and of the content of its files."""
    digest = hashlib.sha256(json.dumps([point, sweep.images, sweep.verify], sort_keys=True).encode())
    for path in (sweep.folder / point["model"], sweep.calibration, sweep.data):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(bytes.fromhex(sha256_of(file)))
    return digest.hexdigest()[:16]


def _short(value: Any) -> str:
    """Return a value for the screen; of a path its last part."""
    return Path(value).name if isinstance(value, str) else f"{value:g}"


def _told(name: str, value: Any) -> str:
    """Return what a point has of its own, for the line of its progress; times in ms, as they are typed."""
    return f"{name.removesuffix('_s')} {1e3 * value:g} ms" if name.endswith("_s") else f"{name} {_short(value)}"


def _shown(frame: pd.DataFrame, sweep: Sweep) -> list[dict[str, str]]:
    """Return the rows of the table on the screen."""
    columns = {name: frame[name].map(_short) for name in sweep.varies}
    for heading, column in (("accuracy", "accuracy"), ("trained network", "ann_accuracy")):
        if not frame[column].isna().all():
            columns[heading] = frame[column].map(lambda share: "-" if pd.isna(share) else f"{100 * share:.2f} %")
    columns[f"{COUNT_NAMES['synapses']} per image"] = frame["operations_per_image"].map("{:,.0f}".format)
    if sweep.verify:
        columns["largest residual"] = frame["max_residual_charge"].map("{:g}".format)
    return pd.DataFrame(columns).to_dict("records")
