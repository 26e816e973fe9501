"""Simulate neurons with constant inputs for both resets and several durations, and hold them against S9 and S11."""

from __future__ import annotations

from pathlib import Path

from brian_snn.cli.experiment import run_study, script
from brian_snn.studies.rate_laws import STUDY

if __name__ == "__main__":
    raise SystemExit(run_study(STUDY, script(__doc__, Path(__file__))))
