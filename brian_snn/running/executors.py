"""Run the shards of a simulation by an executor of `concurrent.futures`, on this machine or on a cluster.

A shard is one task. The executor decides who gets it; one that a cluster runs again, since a worker has died, gives the
same numbers bit for bit, and each shard's result reaches this process once.

No program is sent: whoever gets a shard compiles the network from its topology, into its own cache, as this machine
would; the first to come does it, the others wait.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.backends.build_cache import code_digest, get_build
from brian_snn.backends.standalone import start_processes
from brian_snn.errors import BrianSnnError, CompilerError, OutputError, SettingError, SimulationError
from brian_snn.files import temporary_folder
from brian_snn.processors import usable_processors
from brian_snn.results.arrays import Shard
from brian_snn.results.result import Result
from brian_snn.simulation.job import Job, run_inputs, shard_result
from brian_snn.simulation.runs import RunOutputs

#: How long to wait for the first worker of a Dask cluster, and between two looks at whether it is there still.
_PATIENCE_S, _LOOK_S = 300, 1.0


def connect(address: str) -> Executor:
    """Return an executor that runs on the workers of the Dask scheduler at an address such as ``tcp://host:8786``.

    Raises
    ------
    SettingError
        If Dask is not installed or there is no scheduler.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise SettingError(
            "a scheduler was named, but Dask is not installed; pip install 'brian_snn[distributed]'."
        ) from error
    try:
        executor: Executor = Client(address, timeout="10s").get_executor(pure=False)
    except (OSError, ValueError) as error:
        raise SettingError(
            f"no Dask scheduler answers at {address!r} ({error}); start one with `dask scheduler`."
        ) from error
    return executor


def n_places(executor: Executor, workers: int) -> int:
    """Return how many shards an executor runs at a time: what it says itself, or `workers` where it says nothing.

    Raises
    ------
    SimulationError
        If it is that of a Dask client that is closed, or whose scheduler does not answer.
    """
    client = _dask_client(executor)
    if client is not None:
        with _lost_connection_explained(executor):
            return max(1, sum(client.nthreads().values()))
    # Those of Python and loky have the one, that of mpi4py the other.
    for name in ("_max_workers", "num_workers"):
        number = getattr(executor, name, None)
        if isinstance(number, int) and number > 0:
            return number
    return workers if workers > 1 else usable_processors()


def run_by_executor(
    executor: Executor,
    job: Job,
    images: NDArray[np.generic],
    shards: Sequence[Shard],
    workers: int,
    on_images: Callable[[int], None],
    threads: int = 1,
) -> Iterator[tuple[Shard, Result]]:
    """Simulate shards by an executor and yield each as it is done, in no particular order.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Whose workers have this version of brian_snn and a C++ compiler.
    workers : int
        How many of them there are, if the executor does not say.
    on_images : callable
        Called with the number of images of each shard.
    threads : int
        That simulate a shard, wherever it is.

    Raises
    ------
    SimulationError
        If a shard failed, or took the workers that tried it down with it, or there are no workers or the executor is
        gone.
    CompilerError, OutputError
        If a worker has no compiler, or no cache folder that it can use; with the name of its machine.
    """
    _wait_for_a_worker(executor)
    todo, in_flight = iter(shards), dict[Future[RunOutputs], Shard]()
    try:
        while True:
            # Looked at again for each shard: workers come and go. Two a place, so that none waits for the next.
            for _ in range(2 * n_places(executor, workers) - len(in_flight)):
                if (shard := next(todo, None)) is None:
                    break
                in_flight[_submit(executor, job, images, shard, threads)] = shard
            if not in_flight:
                return
            for future in _next_done(executor, in_flight):
                shard = in_flight.pop(future)
                outputs = _outcome(executor, future, shard)
                on_images(len(shard))
                yield shard, shard_result(job, images[shard.start : shard.stop], outputs, shard.start)
    finally:
        for future in in_flight:
            future.cancel()


def _submit(
    executor: Executor, job: Job, images: NDArray[np.generic], shard: Shard, threads: int
) -> Future[RunOutputs]:
    """Send a shard."""
    with _lost_connection_explained(executor), warnings.catch_warnings():
        # Dask advises to scatter large objects; one that is scattered is lost with the workers that hold it.
        warnings.filterwarnings("ignore", message="Sending large graph")
        # Dask would not run again what has failed before.
        anew = {} if _dask_client(executor) is None else {"pure": False}
        piece = images[shard.start : shard.stop]
        try:
            return executor.submit(_run_shard, job, code_digest(), piece, shard.start, threads, **anew)
        except RuntimeError as error:
            raise SimulationError(f"the executor takes no work ({error}); make another.") from error


def _next_done(executor: Executor, in_flight: dict[Future[RunOutputs], Shard]) -> list[Future[RunOutputs]]:
    """Wait for a shard and return those that are done."""
    while True:
        # What a closed client of Dask had taken is never done.
        _require_connection(executor)
        done, _ = wait(in_flight, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
        if done:
            return list(done)


def _outcome(executor: Executor, future: Future[RunOutputs], shard: Shard) -> RunOutputs:
    """Return what a task computed, or raise what it failed of."""
    try:
        return future.result()
    except BrianSnnError:
        raise
    except (Exception, CancelledError) as error:
        _require_connection(executor)
        raise SimulationError(
            f"images {shard.start} to {shard.stop - 1} failed on the executor: {type(error).__name__}: {error}"
        ) from error


def _run_shard(job: Job, code: str, images: NDArray[np.generic], first: int, threads: int) -> RunOutputs:
    """Simulate a shard on a worker, with a build of its own; the first to come makes it, the others wait for it."""
    if code != code_digest():
        raise SimulationError("a worker has another version of brian_snn than the client; install the same on both.")
    try:
        build = get_build(job.layout)
    except (CompilerError, OutputError) as error:
        raise type(error)(f"the worker on {platform.node()}: {error}") from error
    shard = range(first, first + len(images))
    with temporary_folder() as folder:
        (process,) = start_processes(build, job, [folder], threads)
        try:
            process.submit(run_inputs(job, images, first))
            return process.collect(shard, lambda: None)
        finally:
            process.kill()
            process.close()


# --- Dask -----------------------------------------------------------------------------------------------------------


def _dask_client(executor: Executor) -> Any:
    """Return the client behind an executor of Dask, None for any other."""
    return getattr(executor, "_client", None) if type(executor).__module__.startswith("distributed.") else None


def _wait_for_a_worker(executor: Executor) -> None:
    """Wait until there is a worker of a Dask cluster, but not for ever."""
    client = _dask_client(executor)
    if client is None:
        return
    with _lost_connection_explained(executor):
        try:
            client.wait_for_workers(1, timeout=_PATIENCE_S)
        except TimeoutError as error:
            late = f"no worker has joined the Dask scheduler within {_PATIENCE_S} s"
            raise SimulationError(f"{late}; start some with `dask worker ADDRESS`.") from error


def _require_connection(executor: Executor) -> None:
    """Raise if the executor is that of a Dask client that is closed."""
    client = _dask_client(executor)
    if client is not None and client.status != "running":
        raise SimulationError("the Dask client is not connected to its scheduler; connect anew.")


@contextmanager
def _lost_connection_explained(executor: Executor) -> Iterator[None]:
    """Turn what Dask raises when the client or the scheduler is gone, errors of many kinds, into one that says so."""
    try:
        yield
    except BrianSnnError:
        raise
    except Exception as error:
        client = _dask_client(executor)
        if client is not None and (client.status != "running" or isinstance(error, OSError)):
            raise SimulationError(
                f"the Dask client is not connected to its scheduler ({type(error).__name__}: {error}); connect anew."
            ) from error
        raise
