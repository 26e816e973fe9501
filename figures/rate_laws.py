"""Draw S9 and S11 against simulation from the results of experiments/rate_laws, as PNG and PDF."""

from __future__ import annotations

from brian_snn.cli.experiment import drawer
from brian_snn.studies.rate_laws import STUDY

main = drawer(STUDY, __file__)

if __name__ == "__main__":
    main()
