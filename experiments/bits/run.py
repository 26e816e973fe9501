"""Measure what weights and potentials of few bits cost the demo network on MNIST."""

from __future__ import annotations

from pathlib import Path

from brian_snn.cli.experiment import run_study, script
from brian_snn.studies.bits import STUDY

if __name__ == "__main__":
    raise SystemExit(run_study(STUDY, script(__doc__, Path(__file__))))
