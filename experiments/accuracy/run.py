"""Measure the error of spiking classifiers over steps and operations: percentiles, V(0), resets, seeds, data sets."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from brian_snn.cli.experiment import run_study, script
from brian_snn.studies.accuracy import STUDY, measure
from brian_snn.studies.subjects import trained_subjects

NETWORKS = Path(__file__).resolve().parents[1] / "networks" / "results"


def main() -> int:
    """Measure the networks of all seeds on both data sets."""
    options = script(__doc__, Path(__file__))
    subjects = trained_subjects(NETWORKS, options.params["seeds"], options.params["images"])
    return run_study(STUDY, options, partial(measure, subjects=subjects))


if __name__ == "__main__":
    raise SystemExit(main())
