"""Draw distributions of activations and rates from the results of experiments/activity, as PNG and PDF."""

from __future__ import annotations

from brian_snn.cli.experiment import drawer
from brian_snn.studies.activity import STUDY

main = drawer(STUDY, __file__)

if __name__ == "__main__":
    main()
