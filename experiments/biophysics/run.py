"""Measure how far from the ideal neuron the demo network still reads MNIST."""

from __future__ import annotations

from pathlib import Path

from brian_snn.cli.experiment import run_study, script
from brian_snn.studies.biophysics import STUDY

if __name__ == "__main__":
    raise SystemExit(run_study(STUDY, script(__doc__, Path(__file__))))
