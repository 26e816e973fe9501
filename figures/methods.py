"""Draw what each way to convert a network costs and where its errors come from, from experiments/methods."""

from __future__ import annotations

from brian_snn.cli.experiment import drawer
from brian_snn.studies.methods import STUDY

main = drawer(STUDY, __file__)

if __name__ == "__main__":
    main()
