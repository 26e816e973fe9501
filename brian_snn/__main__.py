"""Run the command line: ``python -m brian_snn`` and the ``brian-snn`` script."""

import os
import sys

# With -m Python looks for modules in the working folder first, where a file of the user's may have the name of one,
# such as ``random.py``. What is imported from here on is not looked for there; nor is this package, once it is loaded.
if __name__ == "__main__" and not sys.flags.safe_path and sys.path[0] == os.getcwd():
    del sys.path[0]

import signal
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
