"""Run compiled simulations: processes of one binary that take shard after shard of images.

Weights, thresholds, clamp times and biases go to the binary through Brian2's own command line (``name=file``), the
hook behind ``device.run(run_args=...)``, once for each process; then the loop that was inserted into its main() takes
shards from its standard input. Nothing of it is compiled in.
"""

from __future__ import annotations

import errno
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
from numpy.typing import NDArray

from brian_snn.backends.build_cache import Build, get_build
from brian_snn.backends.run_files import read_shard, write_array, write_parameters, write_plan
from brian_snn.blas import one_blas_thread
from brian_snn.errors import BrianSnnError, LimitError, OutputError, SimulationError
from brian_snn.files import require_room, temporary_folder
from brian_snn.limits import remedy, starting
from brian_snn.results.arrays import Shard
from brian_snn.results.result import Result
from brian_snn.simulation.job import Job, run_inputs, shard_result
from brian_snn.simulation.runs import RunInputs, RunOutputs

#: Shards that a process holds: the one it runs and the next, so that it never waits for Python.
_AHEAD = 2

#: How long a process that has closed its pipes may take to end.
_PATIENCE_S = 5


def run_standalone(
    build: Build,
    job: Job,
    images: NDArray[np.generic],
    shards: Sequence[Shard],
    workers: int,
    on_image: Callable[[], None],
    threads: int = 1,
) -> Iterator[tuple[Shard, Result]]:
    """Simulate shards in processes of some threads side by side; yield each as it is done, in no particular order.

    Raises
    ------
    SimulationError
        If a process stopped before its end; with its last words.
    OutputError
        If the temporary folder cannot hold the results.
    """
    try:
        with one_blas_thread(), temporary_folder() as folder:
            crew = _Crew(build, job, images, shards, on_image, folder, threads)
            try:
                yield from crew.work(min(workers, len(shards)))
            finally:
                crew.stop()
    except BrianSnnError:
        raise
    except OSError as error:
        raise OutputError(
            f"the files of the compiled simulation: {error.strerror or error}; {remedy(error, 'look after TMPDIR')}."
        ) from error


class StartError(SimulationError):
    """A compiled simulation that does not start, or cannot read what it needs."""


def start_processes(build: Build, job: Job, folders: Sequence[Path], threads: int) -> list[CompiledProcess]:
    """Start a process with each folder and wait until they need the build no more.

    The build may have been deleted or damaged since it was found; then it is found or made again, once.

    Raises
    ------
    SimulationError
        If a process does not start.
    """
    try:
        return _start_all(build, job, folders, threads)
    except StartError:
        return _start_all(get_build(job.layout), job, folders, threads)


class CompiledProcess:
    """One process of a compiled simulation.

    Parameters
    ----------
    build : Build
        The binary.
    job : Job
        What it simulates.
    folder : Path
        An empty folder for its files; those of a shard are deleted once they are read.
    threads : int
        On which it simulates an image.
    """

    def __init__(self, build: Build, job: Job, folder: Path, threads: int) -> None:
        self._job, self._folder = job, folder
        arguments = write_parameters(folder, job.layout, job.constants)
        write_plan(folder, job.plan, threads)
        command = [str(build.folder / "main"), "--results_dir", f"{folder}/", *arguments]
        with (folder / "errors.txt").open("wb") as errors:
            self._process = _start(command, build.folder, errors)

    def wait_until_ready(self) -> None:
        """Wait until the process has read all that there is to read before the first shard."""
        assert self._process.stdout is not None, "the process was started with a pipe"
        if self._process.stdout.readline() != "ready\n":
            self._fail(StartError)

    def submit(self, inputs: RunInputs) -> None:
        """Hand a shard to the process, behind those that it has."""
        shard = self._shard_folder(inputs.first)
        shard.mkdir()
        for position, currents in inputs.currents.items():
            float_type = self._job.layout.layers[position].float_type
            write_array(shard / f"current_{position}.bin", np.ascontiguousarray(currents, float_type))
        for position, noise in inputs.noise.items():
            write_array(shard / f"noise_{position}.bin", np.ascontiguousarray(noise, np.float64))
        assert self._process.stdin is not None, "the process was started with a pipe"
        try:
            self._process.stdin.write(f"{inputs.n_images} {shard}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail()

    def collect(self, shard: Shard, on_image: Callable[[], None]) -> RunOutputs:
        """Wait for a shard, the oldest handed over, and return what was recorded."""
        assert self._process.stdout is not None, "the process was started with a pipe"
        for line in self._process.stdout:
            if line == "image\n":
                on_image()
            elif line == "shard\n":
                break
        else:
            self._fail()
        folder = self._shard_folder(shard.start)
        outputs = read_shard(folder, self._job.layout, self._job.plan, len(shard))
        for path in folder.iterdir():
            path.unlink()
        return outputs

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the pipes to a process that has ended, once no thread reads them."""
        for pipe in (self._process.stdin, self._process.stdout):
            # What was still to be written is lost with the process.
            with suppress(BrokenPipeError):
                assert pipe is not None, "the process was started with pipes"
                pipe.close()

    def _shard_folder(self, first: int) -> Path:
        """Return the folder of a shard."""
        return self._folder / f"shard_{first}"

    def _fail(self, kind: type[SimulationError] = SimulationError) -> NoReturn:
        """Raise what the process died of; OSError if its folder is full, where it could not even say so."""
        # It is about to end of itself: its exit code says more than that of a process which was killed.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_S)
        self._process.kill()
        code = self._process.wait()
        if code == -signal.SIGXFSZ:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        require_room(self._folder)
        lines = (self._folder / "errors.txt").read_text("utf-8", errors="replace").strip().splitlines()
        name = f" ({signal.Signals(-code).name})" if -code in set(signal.Signals) else ""
        words = lines[-1] if lines else "no message"
        raise kind(f"the compiled simulation stopped with exit code {code}{name}: {words}")


class _Crew:
    """Threads that each drive a process; what they finish goes through one queue of bounded length."""

    def __init__(
        self,
        build: Build,
        job: Job,
        images: NDArray[np.generic],
        shards: Sequence[Shard],
        on_image: Callable[[], None],
        folder: Path,
        threads: int,
    ) -> None:
        self._build, self._job, self._images, self._folder = build, job, images, folder
        self._on_image, self._n_threads = on_image, threads
        self._n_shards = len(shards)
        self._todo = deque(shards)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._done: queue.Queue[tuple[Shard, Result] | BaseException] = queue.Queue(_AHEAD)
        self._threads: list[threading.Thread] = []
        self._processes: list[CompiledProcess] = []

    def work(self, workers: int) -> Iterator[tuple[Shard, Result]]:
        """Start the threads and yield shards until all are done."""
        folders = [self._folder / str(number) for number in range(workers)]
        for folder in folders:
            folder.mkdir()
        self._processes = start_processes(self._build, self._job, folders, self._n_threads)
        self._threads = [threading.Thread(target=self._drive, args=(p,), daemon=True) for p in self._processes]
        with starting("a thread"):
            for thread in self._threads:
                thread.start()
        for _ in range(self._n_shards):
            done = self._done.get()
            if isinstance(done, BaseException):
                raise done
            yield done

    def stop(self) -> None:
        """Kill what still runs and wait until no thread is left."""
        self._stopped.set()
        for process in self._processes:
            process.kill()
        for thread in self._threads:
            # One that did not start is not alive.
            while thread.is_alive():
                with suppress(queue.Empty):
                    self._done.get(timeout=0.05)
                thread.join(timeout=0.05)
        for process in self._processes:
            process.close()

    def _drive(self, process: CompiledProcess) -> None:
        """Keep one process busy until no shard is left."""
        under_way: deque[Shard] = deque()
        try:
            while not self._stopped.is_set():
                shard = self._next_shard(holds_one=bool(under_way))
                if shard is not None:
                    process.submit(run_inputs(self._job, self._images[shard.start : shard.stop], shard.start))
                    under_way.append(shard)
                if not under_way:
                    return
                if shard is None or len(under_way) == _AHEAD:
                    shard = under_way.popleft()
                    self._done.put((shard, self._result(process, shard)))
        except BaseException as error:
            if not self._stopped.is_set():
                self._done.put(error)

    def _result(self, process: CompiledProcess, shard: Shard) -> Result:
        """Wait for a shard and return its result, of which nothing is kept here."""
        outputs = process.collect(shard, self._count_image)
        return shard_result(self._job, self._images[shard.start : shard.stop], outputs, shard.start)

    def _next_shard(self, holds_one: bool) -> Shard | None:
        """Return a shard that no thread has taken yet; the last ones go to processes that have none."""
        with self._lock:
            kept = len(self._processes) if holds_one else 1
            return self._todo.popleft() if len(self._todo) >= kept else None

    def _count_image(self) -> None:
        """Report an image, one thread at a time."""
        with self._lock:
            self._on_image()


def _start_all(build: Build, job: Job, folders: Sequence[Path], threads: int) -> list[CompiledProcess]:
    """Start a process with each folder and wait until all are ready; if one is not, none is left."""
    processes: list[CompiledProcess] = []
    try:
        for folder in folders:
            processes.append(CompiledProcess(build, job, folder, threads))
        for process in processes:
            process.wait_until_ready()
    except BaseException:
        for process in processes:
            process.kill()
            process.close()
        raise
    return processes


def _start(command: list[str], folder: Path, errors: IO[bytes]) -> subprocess.Popen[str]:
    """Start the binary. In a session of its own Ctrl-C does not reach it: it is stopped from here."""
    try:
        with starting("the compiled simulation"):
            return subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
    except LimitError:
        raise
    except OSError as error:
        raise StartError(f"the compiled simulation {command[0]} does not start: {error.strerror}.") from error
