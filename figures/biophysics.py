"""Draw accuracy against departures from the ideal neuron, from the results of experiments/biophysics."""

from __future__ import annotations

from brian_snn.cli.experiment import drawer
from brian_snn.studies.biophysics import STUDY

main = drawer(STUDY, __file__)

if __name__ == "__main__":
    main()
