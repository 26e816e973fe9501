"""Run the command line: ``python -m brian_snn`` and the ``brian-snn`` script."""

import os
import sys

# With -m Python looks for modules in the working folder first, where a file of the user's may have the name of one,
# such as ``random.py``. What is imported from here on is not looked for there; nor is this package, once it is loaded.
if __name__ == "__main__" and not sys.flags.safe_path and sys.path[0] == os.getcwd():
    del sys.path[0]

import signal
from collections.abc import Sequence
from pathlib import Path

from brian_snn.cli import main as cli
from brian_snn.quiet_brian import import_brian2
from brian_snn.streams import open_streams

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command as `brian_snn.cli.main.main` does, with what a process of its own needs.

    It cleans up after SIGTERM and SIGHUP as it does after Ctrl-C, and its standard streams may be closed.
    """
    # Batch queues and containers end a program so, and terminals that are closed. Left to itself it would leave its
    # temporary folders behind. `nohup` has SIGHUP ignored.
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    # The commands show what goes on in their own way.
    os.environ.setdefault("TQDM_DISABLE", "1")
    open_streams()
    _ignore_preferences_of_the_working_folder()
    return cli.main(argv)


def _ignore_preferences_of_the_working_folder() -> None:
    """Import Brian2 elsewhere: of the working folder it evaluates the file ``brian_preferences`` as Python code."""
    if os.path.lexists("brian_preferences"):
        here = os.getcwd()
        os.chdir(Path(__file__).parent)
        try:
            import_brian2()
        finally:
            os.chdir(here)


if __name__ == "__main__":
    sys.exit(main())
