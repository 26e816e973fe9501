"""Run the command line: ``python -m brian_snn`` and the ``brian-snn`` script."""

import signal
import sys
from collections.abc import Sequence

from brian_snn import cli

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command as `brian_snn.cli.main` does; the program cleans up after SIGTERM as it does after Ctrl-C."""
    # Batch queues and containers end a program so. Left to itself it would leave its temporary folders behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return cli.main(argv)


if __name__ == "__main__":
    sys.exit(main())
