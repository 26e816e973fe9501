"""The standard streams of the command line: closed ones, and an output whose reader goes away, stop no work."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

from brian_snn.errors import OutputError

#: What the system says of a pipe that nobody reads any more, and of a terminal that was closed.
_NOBODY_READS = (errno.EPIPE, errno.EIO)


class _Outlet(io.FileIO):
    """An output that goes nowhere from the moment that nobody reads it."""

    def write(self, data: Any) -> int:
        """Write, or drop what nobody reads.

        Raises
        ------
        OutputError
            If it cannot be written for another reason, such as a full disk; what follows is dropped.
        """
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if error.errno not in _NOBODY_READS:
                raise OutputError(f"the standard output cannot be written ({error.strerror}).") from error
            return len(memoryview(data).cast("B"))


def open_streams() -> None:
    """Give the process standard streams that can be used, whatever it was started with."""
    for name, mode in (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            # Of the numbers that are free the system takes the lowest, which is that of the stream: else the next file
            # that is opened would have it, and what other libraries print would be written into that.
            stream = open(os.open(os.devnull, mode), "r" if mode == os.O_RDONLY else "w", encoding="utf-8")
            setattr(sys, name, stream)
            os.set_inheritable(stream.fileno(), True)
    # One that a caller has put in its place is the caller's.
    old = sys.__stdout__
    if old is not None and sys.stdout is old:
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Outlet(old.fileno(), "w", closefd=False)),
            encoding=old.encoding,
            errors=old.errors,
            line_buffering=old.line_buffering,
        )
