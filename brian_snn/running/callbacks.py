"""What a callback of the user's raises reaches the user as it is.

A progress callback is called from deep within a simulation, between code that turns errors of its own, such as those
of a disk or of a cluster, into ones that say what to do. An error of the callback is none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from brian_snn.progress import Progress


class CallbackError(BaseException):
    """What a callback raised, on its way past all code that explains errors of its own."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def marked(callback: Progress | None) -> Progress | None:
    """Return a callback whose errors are known to be its own; None for none."""
    if callback is None:
        return None

    def call(done: int, total: int) -> None:
        try:
            callback(done, total)
        except Exception as error:
            raise CallbackError(error) from error

    return call


@contextmanager
def raised_as_they_are() -> Iterator[None]:
    """Raise what a marked callback raised in the block."""
    try:
        yield
    except CallbackError as marked_error:
        error = marked_error.error
    else:
        return
    raise error
