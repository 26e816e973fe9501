"""Count activations and firing rates layer by layer: of the demo network, and of the network of Figure S1."""

from __future__ import annotations

from pathlib import Path

from brian_snn.cli.experiment import run_study, script
from brian_snn.studies.activity import STUDY

if __name__ == "__main__":
    raise SystemExit(run_study(STUDY, script(__doc__, Path(__file__))))
