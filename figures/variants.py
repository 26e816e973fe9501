"""Draw what other neurons, inputs and outputs cost from the results of experiments/variants, as PNG and PDF."""

from __future__ import annotations

from brian_snn.cli.experiment import drawer
from brian_snn.studies.variants import STUDY

main = drawer(STUDY, __file__)

if __name__ == "__main__":
    main()
