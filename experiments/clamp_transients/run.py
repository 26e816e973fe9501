"""Sweep the voltage clamp, the number of steps and the reset on the network of Figure S1, for one photo."""

from __future__ import annotations

from pathlib import Path

from brian_snn.cli.experiment import run_study, script
from brian_snn.studies.clamp_transients import STUDY

if __name__ == "__main__":
    raise SystemExit(run_study(STUDY, script(__doc__, Path(__file__))))
