"""Run the command line: ``python -m brian_snn`` and the ``brian-snn`` script."""

import sys

from brian_snn.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
