"""Draw error against steps and operations from the results of experiments/accuracy, as PNG and PDF."""

from __future__ import annotations

from brian_snn.cli.experiment import drawer
from brian_snn.studies.accuracy import STUDY

main = drawer(STUDY, __file__)

if __name__ == "__main__":
    main()
