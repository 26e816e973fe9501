"""Measure what bursts bring where lambda is small: the digits of the package, from half a threshold at the start."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

import brian_snn
from brian_snn.analysis.classification import wilson_interval
from brian_snn.studies.subjects import demo_subject

RESULTS = Path(__file__).resolve().parent / "results" / "bursts.csv"
PERCENTILES, STEPS, BURSTS = (90,), (4, 8), (1, 2, 4)


def measure(percentile: float, n_images: int = 200) -> pd.DataFrame:
    """Return the wrong answers of networks with this percentile of lambda, with the interval of Wilson."""
    digits, rows = demo_subject(n_images), []
    network = digits.network(percentile)
    for steps in STEPS:
        for burst in BURSTS:
            options = {"steps": steps, "burst": burst, "v_init": 0.5, "backend": "runtime"}
            result = brian_snn.simulate(network, digits.test.images, **options)
            assert brian_snn.verify(result)["holds"].all()
            wrong = int(np.sum(result.predictions != digits.labels))
            low, high = wilson_interval(wrong, n_images)
            rows.append({"percentile": percentile, "steps": steps, "burst": burst, "images": n_images, "wrong": wrong})
            rows[-1] |= {"low": low, "high": high}
    return pd.DataFrame(rows)


if __name__ == "__main__":
    # Some of the percentiles, or all.
    chosen = [float(word) for word in sys.argv[1:]] or PERCENTILES
    measured = pd.concat(map(measure, chosen))
    if RESULTS.exists():
        stored = pd.read_csv(RESULTS)
        measured = pd.concat([stored[~stored["percentile"].isin(chosen)], measured])
    measured.sort_values(["percentile", "steps", "burst"]).to_csv(RESULTS, index=False, float_format="%.4g")
