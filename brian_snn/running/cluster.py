"""Run the shards of a simulation on the workers of a Dask cluster.

A shard is one task. What all shards have in common is a task of its own, so that the cluster itself makes it again
where a worker that held it has died; so is a shard that a worker did not bring to its end. Each shard's result reaches
this process once, whoever computed it, and the numbers are the same bit for bit.

No program is sent: a worker compiles the network from its topology, into its own cache, as this machine would.
"""

from __future__ import annotations

import platform
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.backends.build_cache import code_digest, get_build
from brian_snn.backends.standalone import start_processes
from brian_snn.errors import BrianSnnError, CompilerError, OutputError, SettingError, SimulationError
from brian_snn.files import temporary_folder
from brian_snn.results.arrays import Shard
from brian_snn.results.result import Result
from brian_snn.simulation.job import Job, run_inputs, shard_result
from brian_snn.simulation.runs import RunOutputs

#: How long to wait for the first worker of a cluster.
_PATIENCE_S = 300


def connect(address: str) -> Any:
    """Return a client of the Dask scheduler at an address such as ``tcp://host:8786``.

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
        return Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise SettingError(
            f"no Dask scheduler answers at {address!r} ({error}); start one with `dask scheduler`."
        ) from error


def require_client(client: Any) -> None:
    """Raise a `SettingError` for anything but a client of a Dask scheduler."""
    # Whoever made a client has loaded the library, which need not be installed otherwise.
    distributed = sys.modules.get("distributed")
    if distributed is None or not isinstance(client, distributed.Client):
        raise SettingError(f"client is {client!r}; it must be a dask.distributed.Client, or None for this machine.")


def n_threads(client: Any) -> int:
    """Return the number of threads of a cluster's workers.

    Raises
    ------
    SimulationError
        If the client is closed, or its scheduler does not answer.
    """
    with _lost_connection_explained(client):
        return sum(client.nthreads().values())


def run_on_cluster(
    client: Any,
    job: Job,
    images: NDArray[np.generic],
    shards: Sequence[Shard],
    on_images: Callable[[int], None],
) -> Iterator[tuple[Shard, Result]]:
    """Simulate shards on a cluster and yield each as it is done, in no particular order.

    Parameters
    ----------
    client : distributed.Client
        Of a cluster whose workers have this version of brian_snn and a C++ compiler.
    on_images : callable
        Called with the number of images of each shard.

    Raises
    ------
    SimulationError
        If a shard failed, or took the workers that tried it down with it, or the cluster has no workers or is gone.
    CompilerError, OutputError
        If a worker has no compiler, or no cache folder that it can use; with the name of its machine.
    """
    with _lost_connection_explained(client):
        _wait_for_a_worker(client)
    with closing(_run(client, job, images, iter(shards))) as done:
        while True:
            # Only what Dask does: what is done with the numbers, here or by the caller, has errors of its own.
            with _lost_connection_explained(client):
                found = next(done, None)
            if found is None:
                return
            shard, outputs = found
            on_images(len(shard))
            yield shard, shard_result(job, images[shard.start : shard.stop], outputs, shard.start)


def _wait_for_a_worker(client: Any) -> None:
    """Wait until there is a worker, but not for ever."""
    try:
        client.wait_for_workers(1, timeout=_PATIENCE_S)
    except TimeoutError as error:
        raise SimulationError(
            f"no worker has joined the Dask scheduler within {_PATIENCE_S} s; start some with `dask worker ADDRESS`."
        ) from error


@contextmanager
def _lost_connection_explained(client: Any) -> Iterator[None]:
    """Turn what Dask raises when the client or the scheduler is gone, errors of many kinds, into one that says so."""
    try:
        yield
    except BrianSnnError:
        raise
    except Exception as error:
        if client.status != "running" or isinstance(error, OSError):
            raise SimulationError(
                f"the Dask client is not connected to its scheduler ({type(error).__name__}: {error}); connect anew."
            ) from error
        raise


def _run(
    client: Any, job: Job, images: NDArray[np.generic], todo: Iterator[Shard]
) -> Generator[tuple[Shard, RunOutputs], None, None]:
    """Keep two shards a thread in flight and yield what came out of each as it is done."""
    from distributed import as_completed

    with warnings.catch_warnings():
        # Dask advises to scatter large objects; one that is scattered is lost with the workers that hold it.
        warnings.filterwarnings("ignore", message="Sending large graph")
        common = client.submit(_hold, job, code_digest(), pure=False)
        in_flight: dict[Any, tuple[Shard, str | None]] = {}

        def submit(shard: Shard, worker: str | None) -> Any:
            # Left to itself, Dask sends shards to the worker that has what they share, for others to steal there.
            place = {"workers": worker, "allow_other_workers": True} if worker else {}
            piece = images[shard.start : shard.stop]
            future = client.submit(_run_shard, common, piece, shard.start, pure=False, **place)
            in_flight[future] = shard, worker
            return future

        def more() -> list[Any]:
            places = _free_places(client.nthreads(), Counter(worker for _, worker in in_flight.values()))
            # If all workers are gone, a shard waits for the next.
            places = places or ([] if in_flight else [None])
            return [submit(shard, worker) for worker, shard in zip(places, todo, strict=False)]

        futures = as_completed(more())
        try:
            for future in futures:
                shard, _ = in_flight.pop(future)
                outputs = _outcome(future, shard)
                futures.update(more())
                yield shard, outputs
        finally:
            client.cancel([*in_flight, common], force=True)


def _free_places(n_threads: Mapping[str, int], n_held: Mapping[str | None, int]) -> list[str | None]:
    """Return a worker for each shard that can be sent now: two a thread, the worker that has fewest a thread first."""
    places = [
        (place / threads, worker)
        for worker, threads in n_threads.items()
        for place in range(n_held.get(worker, 0), 2 * threads)
    ]
    return [worker for _, worker in sorted(places)]


def _outcome(future: Any, shard: Shard) -> RunOutputs:
    """Return what a task computed, or raise what it failed of."""
    try:
        outputs: RunOutputs = future.result()
    except BrianSnnError:
        raise
    except Exception as error:
        raise SimulationError(
            f"images {shard.start} to {shard.stop - 1} failed on the cluster: {type(error).__name__}: {error}"
        ) from error
    return outputs


def _hold(job: Job, code: str) -> tuple[Job, str]:
    """Keep what all shards have in common on a worker."""
    return job, code


def _run_shard(common: tuple[Job, str], images: NDArray[np.generic], first: int) -> RunOutputs:
    """Simulate a shard on a worker, with a build of its own; the first to come makes it, the others wait for it."""
    job, code = common
    if code != code_digest():
        raise SimulationError("a worker has another version of brian_snn than the client; install the same on both.")
    try:
        build = get_build(job.layout)
    except (CompilerError, OutputError) as error:
        raise type(error)(f"the Dask worker on {platform.node()}: {error}") from error
    inputs = run_inputs(job, images, first)
    with temporary_folder() as folder:
        (process,) = start_processes(build, job, [folder])
        try:
            process.submit(inputs)
            return process.collect(inputs, lambda: None)
        finally:
            process.kill()
            process.close()
