"""What the command line says of an error, in one line."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any

from brian_snn.errors import BrianSnnError
from brian_snn.escaping import shown
from brian_snn.limits import FULL, is_thread_limit, remedy


def explanation(error: BaseException, argv: Sequence[str]) -> str | None:
    """Return what to say of an error; None for one that is our own mistake.

    Parameters
    ----------
    error : BaseException
    argv : sequence of str
        The arguments of the command.
    """
    if isinstance(error, BrianSnnError):
        return _with_names_shown(str(error), argv)
    say = next((say for kind, say in _SAID if isinstance(error, kind)), None)
    return None if say is None else say(error)


def _of_the_system(error: OSError) -> str:
    """Return what the system refused, of which file, and what to do."""
    where = f"{shown(str(error.filename))}: " if error.filename else ""
    advice = "" if error.errno in FULL else remedy(error, "")
    return f"{where}{error.strerror or error}{advice and '; '}{advice}."


def _of_memory(error: MemoryError) -> str:
    """Return that there is none, and for what."""
    what = f" ({error})" if str(error) else ""
    return f"there is not enough memory{what}; give the process more, or fewer images at a time."


def _of_a_thread(error: RuntimeError) -> str | None:
    """Return what to do about a thread that the system does not start; other errors of its kind are our mistakes."""
    return f"{error}; {remedy(BlockingIOError(errno.EAGAIN, ''), '')}." if is_thread_limit(error) else None


#: What is said of errors that are nobody's on purpose; the first kind that fits. The last ones are what no reader
#: foresaw in a file: a recursion that is too deep is a RuntimeError too.
_SAID: tuple[tuple[type[BaseException], Callable[[Any], str | None]], ...] = (
    (KeyboardInterrupt, lambda _: "interrupted; nothing was written."),
    (OSError, _of_the_system),
    (MemoryError, _of_memory),
    # Code in C that met an error and did not say which, as it happens with too little memory.
    (SystemError, lambda error: f"a library failed without a reason ({error}); is there enough memory?"),
    (ImportError, lambda error: f"a library cannot be loaded: {error}."),
    (
        RecursionError,
        lambda _: "what was given lies too deep in itself: lists in lists, or a model of very many layers in a row.",
    ),
    (RuntimeError, _of_a_thread),
    (
        UnicodeError,
        lambda e: f"a name or a text cannot be read or written here ({e}); use plain letters or LC_ALL=C.UTF-8.",
    ),
)


def _with_names_shown(message: str, argv: Sequence[str]) -> str:
    """Return a message in which a line feed in the name of a file is told from those between its lines."""
    for name in {part for word in argv for part in str(word).split("/") if "\n" in part}:
        message = message.replace(name, shown(name))
    return message
