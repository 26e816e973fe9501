"""NIRData in HDF5 (``nir.write_data``) as a recorded run: the observable ``spikes`` of each node.

A time t is step round(t / dt) + 1, and is refused where it lies further than 0.01 steps from it. All that is in a file
is looked at before anything is read (`brian_snn.hdf5`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import DataError
from brian_snn.escaping import shown
from brian_snn.hdf5 import count_numbers
from brian_snn.reading import check_size
from brian_snn.referee.sources import Clock, DenseSource, EventSource, Recorded, event_rows, whole_spikes

#: How far from a step a time may lie, in steps.
_MOST_OFF = 0.01

_MOST_NODES = 10_000
_DEEPEST = 6
_FEWER = "write fewer samples to a file"


def read(path: Path, clock: Clock) -> Recorded:
    """Return the spikes of all nodes."""
    import h5py

    trains: dict[str, Any] = {}
    lengths: set[tuple[int, int | None]] = set()
    size = path.stat().st_size
    # What is read becomes numbers of 8 bytes.
    check_size(8 * count_numbers(path, size, texts=True), size, _FEWER)
    with h5py.File(path, "r", locking=False) as file:
        for name, group in _observed(file):
            kind = _text(group.attrs.get("__type__"))
            if kind == "TimeGriddedData":
                data = whole_spikes(_array(group, "data"), name)
                _require_step(float(group.attrs["dt"]), clock.dt, name)
                if data.ndim != 3:
                    raise DataError(f"node {shown(name)!r} has spikes of shape {data.shape}; 3 axes were expected.")
                trains[name] = DenseSource(data)
                lengths.add((len(data), data.shape[1]))
            elif kind in ("EventData", "ValuedEventData"):
                trains[name], n_samples, steps = _events(group, kind, name, clock)
                lengths.add((n_samples, steps))
            else:
                raise DataError(f"node {shown(name)!r} has spikes of type {shown(str(kind))!r:.80}, which is unknown.")
    n_images, steps_found = {images for images, _ in lengths}, {found for _, found in lengths}
    if len(n_images) > 1 or len(steps_found) > 1:
        raise DataError("its nodes are of different numbers of samples or steps; all must be alike.")
    return Recorded(trains, {}, next(iter(n_images), None), next(iter(steps_found), None))


def _array(group: Any, name: str) -> NDArray[Any]:
    """Return an array of numbers."""
    import h5py

    found = _member(group, name)
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "buif" or found.shape is None:
        raise DataError(f"its {shown(name)!r} is no array of numbers.")
    return np.asarray(found[()])


def _member(group: Any, name: str) -> Any:
    """Return what a group holds under a name."""
    import h5py

    if not isinstance(group, h5py.Group) or name not in group:
        raise DataError(f"it has no {shown(name)!r}; NIRData as nir.write_data writes it was expected.")
    return group[name]


def _observed(group: Any, depth: int = 0, where: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the name of each node and its spikes."""
    nodes = _member(group, "nodes")
    if depth > _DEEPEST or len(nodes) > _MOST_NODES:
        raise DataError(f"graphs lie more than {_DEEPEST} deep in one another, or have more than {_MOST_NODES} nodes.")
    for name in nodes:
        node = _member(nodes, name)
        if _text(node.attrs.get("__type__")) == "NIRGraphData":
            yield from _observed(node, depth + 1, f"{where}{name}/")
            continue
        observables = _member(node, "observables")
        if "spikes" in observables:
            yield f"{where}{name}", _member(observables, "spikes")


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _require_step(found: float, dt: float | None, name: str) -> None:
    if dt is not None and not abs(found - dt) <= 1e-6 * dt:
        raise DataError(f"node {shown(name)!r} has steps of {found!r} s; {dt!r} s were expected (dt).")


def _events(group: Any, kind: str, name: str, clock: Clock) -> tuple[EventSource, int, int]:
    """Return events, and the numbers of samples and steps."""
    index, time = _array(group, "idx"), _array(group, "time").astype(np.float64)
    if index.ndim != 2 or index.shape != time.shape or index.dtype.kind not in "ui":
        raise DataError(f"node {shown(name)!r}: idx and time are no two arrays of shape (n_samples, n_events).")
    t_max = float(group.attrs["t_max"])
    dt = clock.dt if clock.dt is not None else t_max / clock.steps if clock.steps else 0.0
    if not dt > 0:
        raise DataError(f"node {shown(name)!r} has spikes by their times; give the steps of the run, or dt.")
    there = index != -1
    exact = time[there] / dt
    steps = np.rint(exact)
    if not np.all(np.abs(exact - steps) <= _MOST_OFF):
        raise DataError(
            f"node {shown(name)!r} has a spike further than {_MOST_OFF} steps of {dt!r} s from any step; give its dt."
        )
    count = np.ones(len(steps))
    if kind == "ValuedEventData":
        count = whole_spikes(_array(group, "value")[there], name)
    columns = [np.nonzero(there)[0], steps + 1, index[there], count]
    rows = np.stack([np.asarray(column).astype(np.int64) for column in columns], axis=1)
    n_steps = t_max / dt
    if not 0 <= n_steps < 2**31:
        raise DataError(f"node {shown(name)!r}: t_max is {t_max!r} s, which is no whole run.")
    return EventSource(event_rows(rows, name), name), len(index), round(n_steps)
