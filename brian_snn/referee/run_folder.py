"""A run folder of brian_snn as a recorded run: spike trains where they were recorded, else counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brian_snn.errors import DataError
from brian_snn.network.roles import has_spikes
from brian_snn.referee.sources import Clock, EventSource, Recorded, event_rows
from brian_snn.results.load import load_result


def read(path: Path, clock: Clock) -> Recorded:
    """Return what a result recorded; counts are those of runs without a clamp, which leaves no step out."""
    result = load_result(path)
    if result.settings.threshold != 1 or result.settings.v_init != 0:
        raise DataError(
            f"{path}: was simulated with another threshold than 1 or another V(0) than 0; simulate without either."
        )
    if result.settings.graded:
        raise DataError(
            f"{path}: was simulated with bursts or signed spikes, and a rule is one of single spikes; simulate without."
        )
    trains = {name: EventSource(event_rows(np.asarray(rows), name), name) for name, rows in result.spike_trains.items()}
    n_images = len(result.images)
    counts = {
        p.name: np.asarray(result.spike_counts[p.name])
        for p in result.network.populations
        if has_spikes(p, result.settings) and p.name not in trains
    }
    return Recorded(trains, counts, n_images, result.settings.steps)
