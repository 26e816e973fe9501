"""Draw what weights and potentials of few bits cost from the results of experiments/bits, as PNG and PDF."""

from __future__ import annotations

from brian_snn.cli.experiment import drawer
from brian_snn.studies.bits import STUDY

main = drawer(STUDY, __file__)

if __name__ == "__main__":
    main()
