"""Draw where the errors of the demo network come from, from the results of experiments/error_account."""

from __future__ import annotations

from brian_snn.cli.experiment import drawer
from brian_snn.studies.error_account import STUDY

main = drawer(STUDY, __file__)

if __name__ == "__main__":
    main()
