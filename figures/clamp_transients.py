"""Draw what the voltage clamp buys from the stored sweep of ``experiments/clamp_transients``, as PNG and PDF."""

from __future__ import annotations

from brian_snn.cli.experiment import drawer
from brian_snn.studies.clamp_transients import STUDY

main = drawer(STUDY, __file__)

if __name__ == "__main__":
    main()
