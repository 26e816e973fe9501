"""Results of consecutive images put together, and results of some images taken out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from brian_snn.results.arrays import ARRAYS_BY_NAME, BOOK_NAMES, Joined, as_fields
from brian_snn.results.charges import Charges
from brian_snn.results.result import Result

_NOTHING_OVER_TIME: dict[str, Any] = {
    "checkpoints": np.zeros(0, np.int32),
    "output_history": None,
    **{name: {} for name in ("count_history", "total_counts", "spike_trains", "potential_traces")},
    "pieces": (),
}


def join(parts: Iterable[Result], images: NDArray[np.generic], timings_s: dict[str, float]) -> Result:
    """Put the results of consecutive images together in memory, each as it comes.

    Parts are used up: each of their arrays is dropped once it is in its place, so that it is not there twice.
    """
    joined: dict[str, dict[Any, Joined]] = {name: {} for name in (*ARRAYS_BY_NAME, "output_history")}
    first, base = 0, cast(Result, None)
    labels: list[NDArray[np.int64]] = []
    for part in parts:
        if len(part.images) == len(images):
            return replace(part, images=images, timings_s=timings_s)
        for name, arrays in _pieces(part):
            for key in list(arrays):
                joined[name].setdefault(key, Joined(name, len(images))).add(arrays.pop(key), first)
        base = part if first == 0 else base
        labels += [] if part.labels is None else [part.labels]
        first += len(part.images)
    by_name = {name: {key: each.array for key, each in found.items()} for name, found in joined.items()}
    history = by_name.pop("output_history").get(None)
    fields: dict[str, Any] = as_fields(by_name)
    if isinstance(base.charge, Charges):
        measured = fields["spike_counts"], fields["potentials"], fields["booked"]
        fields["charge"] = Charges(base.charge.balances, *measured, fields["charge"])
    fields["labels"] = np.concatenate(labels) if labels else None
    return replace(base, images=images, timings_s=timings_s, output_history=history, **fields)


def _pieces(part: Result) -> Iterator[tuple[str, dict[Any, NDArray[Any]]]]:
    """Yield the arrays of a part by the names of their fields; of a charge only what was summed in the run."""
    for name in ARRAYS_BY_NAME:
        is_worked_out = name == "charge" and isinstance(part.charge, Charges)
        arrays = cast(Charges, part.charge).summed if is_worked_out else part.by_population(name)
        yield name, cast(dict[Any, NDArray[Any]], arrays)
    if part.output_history is not None:
        yield "output_history", {None: part.output_history}


def choose_images(result: Result, numbers: Sequence[int]) -> Result:
    """Return what was measured of some images, in memory, without recordings over time.

    Parameters
    ----------
    numbers : sequence of int
        Ascending, counted from 0 within the result.
    """
    chosen, parts, first = np.asarray(numbers), [], 0
    kept = ("spike_counts", "potentials", "charge", *BOOK_NAMES, "negative_counts", "early_counts")
    for part in result.parts():
        rows = chosen[(chosen >= first) & (chosen < first + len(part.images))] - first
        first += len(part.images)
        if rows.size:
            fields: dict[str, Any] = {n: {k: v[rows] for k, v in part.by_population(n).items()} for n in kept}
            labels = None if part.labels is None else part.labels[rows]
            chosen_of = {"images": part.images[rows], "labels": labels}
            parts.append(replace(part, **chosen_of, **_NOTHING_OVER_TIME, **as_fields(fields)))
    return join(parts, np.concatenate([part.images for part in parts]), {})
