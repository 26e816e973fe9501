"""What the system refuses: processes, threads, open files, memory, room on a disk; which it is, and what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from brian_snn.errors import LimitError
from brian_snn.processors import usable_processors

#: What the system says of a disk that is full, of a quota that is used up, and of a file that would pass `ulimit -f`.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_FILES = "more files may be open at once (ulimit -n)"
_REMEDIES = {
    **dict.fromkeys(FULL, "free some space"),
    errno.EMFILE: f"let {_FILES}",
    errno.ENFILE: f"let {_FILES}",
    errno.EAGAIN: "end other programs, or let this user have more processes and threads (ulimit -u)",
    errno.ENOMEM: "end other programs, or let the process have more memory (ulimit -v)",
}

#: Address space that Python and its libraries need at least, in all and for each processor.
_LEAST_BYTES, _BYTES_A_PROCESSOR = 320 * 2**20, 64 * 2**20

#: What Python says of a thread that the system does not start.
_NO_THREAD = "can't start new thread"


def remedy(error: OSError, otherwise: str) -> str:
    """Return what to do about what the system refused, in words; `otherwise` if it is not a limit."""
    return _REMEDIES.get(error.errno or 0, otherwise)


def is_thread_limit(error: RuntimeError) -> bool:
    """Whether the system would not start a thread."""
    return _NO_THREAD in str(error)


def require_memory() -> None:
    """Raise if the address space of this process is too small for the libraries that every command loads.

    With less, the OpenBLAS of NumPy, which wants a piece for each processor, asks for memory again and again without an
    end, and others crash when the process ends.

    Raises
    ------
    LimitError
        Naming what there is and what is needed.
    """
    try:
        import resource
    except ImportError:
        # Windows.
        return
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    needed = _LEAST_BYTES + _BYTES_A_PROCESSOR * min(usable_processors(), 64)
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        raise LimitError(
            f"the process may use {allowed >> 20} MB of address space and needs at least {needed >> 20} MB; "
            f"{_REMEDIES[errno.ENOMEM]}."
        )


def is_limit(error: BaseException) -> bool:
    """Whether an error is that of a limit of the system, and says nothing of the file at which it came up."""
    if isinstance(error, OSError):
        return error.errno in _REMEDIES
    return isinstance(error, RuntimeError) and is_thread_limit(error)


@contextmanager
def starting(what: str) -> Iterator[None]:
    """Say of a process or thread that the system does not start that it is this which failed.

    Raises
    ------
    LimitError
        If there may be no more processes, threads, open files or memory; any other error is raised as it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL or not is_limit(error):
            raise
        raise LimitError(f"{what} cannot be started ({error.strerror}); {remedy(error, '')}.") from error
    except RuntimeError as error:
        if not is_thread_limit(error):
            raise
        raise LimitError(f"{what} cannot be started ({error}); {_REMEDIES[errno.EAGAIN]}.") from error
