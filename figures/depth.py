"""Draw the error of firing rates against depth from the results of experiments/depth, as PNG and PDF."""

from __future__ import annotations

from brian_snn.cli.experiment import drawer
from brian_snn.studies.depth import STUDY

main = drawer(STUDY, __file__)

if __name__ == "__main__":
    main()
