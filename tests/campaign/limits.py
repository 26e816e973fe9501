"""Call a function in a process of its own, within limits of memory, time and files, and say what became of it."""

import multiprocessing
import os
import resource
import signal
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any


@dataclass(frozen=True)
class Limits:
    """What a process may use; None is no limit.

    Parameters
    ----------
    memory_bytes : int, optional
        Address space. In `run_limited` it comes on top of what is mapped when the process begins, TensorFlow included.
    cpu_s, wall_s : int or float, optional
        Seconds at work, after which SIGXCPU ends it, and seconds altogether, which only `run_limited` counts.
    file_bytes : int, optional
        Size of each file that it writes. Beyond it a write raises `OSError`, as Python ignores SIGXFSZ.
    n_files, n_processes : int, optional
        File handles, and processes and threads of this user; nothing holds root back from more of the latter.
    """

    memory_bytes: int | None = None
    cpu_s: int | None = None
    wall_s: float = 60.0
    file_bytes: int | None = None
    n_files: int | None = None
    n_processes: int | None = None

    def apply(self) -> None:
        """Limit this process and those that it starts; fit for ``preexec_fn`` of `subprocess`."""
        for kind, value in (
            (resource.RLIMIT_AS, self.memory_bytes),
            (resource.RLIMIT_CPU, self.cpu_s),
            (resource.RLIMIT_FSIZE, self.file_bytes),
            (resource.RLIMIT_NOFILE, self.n_files),
            (resource.RLIMIT_NPROC, self.n_processes),
        ):
            if value is not None:
                # At the hard limit of time comes SIGKILL, which says nothing.
                hard = value + 1 if kind == resource.RLIMIT_CPU else value
                resource.setrlimit(kind, (value, hard))


@dataclass(frozen=True)
class Outcome:
    """How a call ended.

    Parameters
    ----------
    kind : str
        ``returned``, ``raised``, ``killed`` (by a signal, or it left without a word) or ``too slow``.
    value : object
        What it returned or raised (only its repr, if that cannot be sent), the name of the signal, or None.
    """

    kind: str
    value: Any = None

    def unwrap(self) -> Any:
        """Return what the call returned; raise what it raised, and `AssertionError` for any other end."""
        if self.kind == "raised" and isinstance(self.value, BaseException):
            raise self.value
        assert self.kind == "returned", f"{self.kind}: {self.value}"
        return self.value


def run_limited(function, *arguments, limits=Limits(2**30, cpu_s=60)) -> Outcome:
    """Call a function in a fork of this process and return how it ended; whatever it started is killed then."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_call, args=(sender, limits, function, arguments))
    with warnings.catch_warnings():
        # The threads of TensorFlow and of the test runner hold nothing that the fork needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    sender.close()
    try:
        if not receiver.poll(limits.wall_s):
            return Outcome("too slow")
        return receiver.recv()
    except EOFError:
        process.join(limits.wall_s)
        code = process.exitcode or 0
        return Outcome("killed", signal.Signals(-code).name if code < 0 else f"exit code {code}")
    finally:
        receiver.close()
        # It leads a group of its own. The group may be gone, or not be there yet.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()


def _call(sender: Connection, limits: Limits, function, arguments) -> None:
    """Send back how a call ended."""
    os.setsid()
    # Without memory there is nothing to dump, and a core of TensorFlow fills a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limits.memory_bytes is not None:
        limits = replace(limits, memory_bytes=limits.memory_bytes + mapped_bytes())
    limits.apply()
    try:
        outcome = Outcome("returned", function(*arguments))
    except BaseException as error:
        outcome = Outcome("raised", error)
    try:
        sender.send(outcome)
    except Exception:
        sender.send(Outcome(outcome.kind, repr(outcome.value)))
    sender.close()
    # Nothing of the parent's is closed or flushed a second time.
    os._exit(0)


def mapped_bytes() -> int:
    """Return the size of this process' address space."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


@contextmanager
def untouched_python(*modules: str) -> Iterator[ProcessPoolExecutor]:
    """Yield another Python that has imported modules, and where nothing has been at work.

    TensorFlow must not have computed anything before a process is forked in which it shall.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _import, modules) as pool:
        yield pool


def _import(*modules: str) -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    for module in (*modules, "keras", "tensorflow"):
        import_module(module)
