"""The programs of the race, each behind the same two calls: prepare, and time one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from cpp_loop import compile_loop, read_counts, read_predictions, run_loop, run_rows, write_input
from networks import Case
from venvs import AbsentError, Environments, last_words

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"

#: How many cores a run uses: "one" process, or "both" cores by two processes or two threads.
CORES = {"one": 1, "both": 2}


class Program(Protocol):
    """A program on one network."""

    cores: tuple[str, ...]

    def prepare(self) -> dict[str, Any]:
        """Build, check and choose all that is not timed; return what is to be kept of it."""

    def time(self, cores: str) -> dict[str, float]:
        """Run once and return seconds for an image (``seconds``, ``processor_seconds``, perhaps more)."""


@dataclass(frozen=True)
class Setting:
    """What all programs of one network share: the case, and a folder with what `Case.write` wrote."""

    case: Case
    folder: Path
    environments: Environments
    params: dict[str, Any]


def make_program(name: str, setting: Setting) -> Program:
    """Return a program of params.json for one network.

    Raises
    ------
    AbsentError
        If it cannot run on this network, or cannot be installed.
    """
    description = setting.params["programs"][name]
    if setting.case.name in description.get("skip", {}):
        raise AbsentError(description["skip"][setting.case.name])
    kinds = {"loop": Loop, "rows": Rows, "brian_snn": BrianSnn, "peer": Peer}
    return kinds[description["kind"]](name, setting)


def rounds_of(name: str, case: Case, params: dict[str, Any]) -> int:
    """Return how often a program is timed on a network: the fewest that either of them, or else the race, asks for."""
    numbers = [params["programs"][name].get("rounds"), params["networks"][case.name].get("rounds"), params["rounds"]]
    return min(number for number in numbers if number)


def run_script(python: Path | str, script: str, setting: Setting, arguments: Iterable[Any]) -> dict[str, Any]:
    """Run one of the programs in ``peers/`` and return what it measured.

    Raises
    ------
    AbsentError
        If it fails or takes too long.
    """
    output = setting.folder / "measured.json"
    output.unlink(missing_ok=True)
    command = [python, PEERS / script, setting.folder / "workload.npz", output, *arguments]
    # What this process may import from elsewhere is of another Python than a peer's.
    environment = os.environ if python == sys.executable else os.environ | {"PYTHONPATH": ""}
    limit = setting.params["timeout_s"]
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=limit, env=environment)
    except subprocess.TimeoutExpired as error:
        raise AbsentError(f"stopped after {limit} s") from error
    if done.returncode:
        raise AbsentError(f"exit code {done.returncode}: {last_words(done.stderr)}")
    return json.loads(output.read_text("utf-8"))


def accuracy(predictions: list[int], case: Case) -> float | None:
    """Return the share of images in the right class; None for a network that is no classifier."""
    return float(np.mean(case.labels[: len(predictions)] == predictions)) if len(case.labels) else None


class Loop:
    """Our C++ loop, in float64 or float32, in one process or two."""

    cores = ("one", "both")

    def __init__(self, name: str, setting: Setting) -> None:
        """Keep what is given."""
        self.description, self.setting = setting.params["programs"][name], setting

    def prepare(self) -> dict[str, Any]:
        """Compile, write the input, and run once for predictions, memory and spike counts."""
        case, folder = self.setting.case, self.setting.folder
        self.binary = compile_loop(folder, self.description["real"])
        for processes in CORES.values():
            write_input(case, folder, processes)
        done = run_loop(self.binary, folder, 1, len(case.images))
        found = {
            "peak_mb": done.peak_mb,
            "accuracy": accuracy(read_predictions(case, folder), case),
            "events_per_image": sum(done.events) / len(case.images),
        }
        exact = folder / "counts_exact.npz"
        if self.description["real"] == "double":
            np.savez(exact, **dict(read_counts(case, folder)))
            (folder / "output_exact.bin").write_bytes((folder / "loop_1_0" / "output.bin").read_bytes())
            (folder / "events_exact.json").write_text(json.dumps(done.events))
        elif exact.exists():
            found["spikes"] = compare_counts(dict(read_counts(case, folder)), exact)
        return found

    def time(self, cores: str) -> dict[str, float]:
        """Run all images."""
        done = run_loop(self.binary, self.setting.folder, CORES[cores], len(self.setting.case.images))
        return {"seconds": done.seconds, "processor_seconds": done.processor_seconds}


class Rows:
    """The additions of weights that the spikes of the C++ loop ask for, alone."""

    cores = ("one", "both")

    def __init__(self, name: str, setting: Setting) -> None:
        """Keep what is given."""
        self.description, self.setting = setting.params["programs"][name], setting

    def prepare(self) -> dict[str, Any]:
        """Compile, and find out how many rows there are."""
        folder, events = self.setting.folder, self.setting.folder / "events_exact.json"
        if not events.exists():
            raise AbsentError("the C++ loop did not run, which counts the rows")
        self.events = tuple(json.loads(events.read_text()))
        self.binary = compile_loop(folder, self.description["real"], "row_limit")
        return {"accuracy": None, "peak_mb": None}

    def time(self, cores: str) -> dict[str, float]:
        """Add all rows."""
        return {"seconds": run_rows(self.binary, self.setting.case, self.events, CORES[cores])}


def compare_counts(counts: dict[str, Any], path: Path) -> dict[str, int]:
    """Return how many spike counts, of all neurons and images, differ from stored ones, and by how much at most."""
    with np.load(path) as stored:
        differences = [np.abs(counts[name] - stored[name]) for name in stored.files]
    return {
        "counts": sum(d.size for d in differences),
        "differing": sum(int(np.count_nonzero(d)) for d in differences),
        "largest": max(int(d.max(initial=0)) for d in differences),
    }


class BrianSnn:
    """brian_snn, in a Python process of its own, with one worker or two."""

    cores = ("one", "both")

    def __init__(self, name: str, setting: Setting) -> None:
        """Keep what is given."""
        self.description, self.setting = setting.params["programs"][name], setting

    def _run(self, *arguments: Any) -> dict[str, Any]:
        fixed = ["--network", self.setting.folder / "network.npz", "--reset", self.setting.case.reset]
        settings = ["--settings", json.dumps(self.description["settings"])]
        return run_script(sys.executable, "on_brian_snn.py", self.setting, [*fixed, *settings, *arguments])

    def prepare(self) -> dict[str, Any]:
        """Compile; run once for predictions and memory, and compare every spike count with the loop's."""
        case, folder = self.setting.case, self.setting.folder
        counts, exact = folder / "counts.npz", folder / "counts_exact.npz"
        done = self._run("--images", len(case.images), "--counts", counts)
        (run,) = done["runs"]
        found = {
            "accuracy": accuracy(run["predictions"], case),
            "events_per_image": float(np.mean(run["events"])),
            "simulation_peak_mb": done["simulation_peak_mb"],
            "python_peak_mb": done["peak_mb"],
            "peak_mb": done["simulation_peak_mb"] + done["peak_mb"],
        }
        if "grid" in done:
            found["grid"] = done["grid"]
            if not done["equal_to_float64"]:
                raise RuntimeError(f"{case.name}: float32 and float64 disagree on a grid of {done['grid']}")
        if exact.exists():
            with np.load(counts) as stored:
                found["spikes"] = compare_counts(dict(stored), exact)
            events = sum(run["events"]), sum(json.loads((folder / "events_exact.json").read_text()))
            if self.description["exact"] and (found["spikes"]["differing"] or events[0] != events[1]):
                raise RuntimeError(f"{case.name}: brian_snn and the C++ loop disagree: {found['spikes']}, {events}")
        return found

    def time(self, cores: str) -> dict[str, float]:
        """Time whole calls."""
        (run,) = self._run("--images", len(self.setting.case.images), "--workers", CORES[cores])["runs"]
        return {key: run[key] for key in ("seconds", "processor_seconds", "start_seconds", "run_seconds")}


class Peer:
    """Another simulator, in its own environment, with its best batch size and as many threads as there are cores."""

    cores = ("both",)

    def __init__(self, name: str, setting: Setting) -> None:
        """Make the environment."""
        self.name, self.description, self.setting = name, setting.params["programs"][name], setting
        self.python = setting.environments.python_of(self.description["venv"])
        self.n_images = min(self.description.get("images", 10**9), len(setting.case.images))

    def _run(self, *arguments: Any) -> dict[str, Any]:
        fixed = ["--threads", self.setting.params["threads"], *self.description.get("arguments", [])]
        return run_script(self.python, self.description["script"], self.setting, [*fixed, *arguments])

    def prepare(self) -> dict[str, Any]:
        """Choose the batch size; run once for accuracy and memory."""
        sizes = [size for size in self.description["batch_sizes"] if size <= self.n_images] or [self.n_images]
        runs = self._run("--images", self.n_images, "--brief", "--batches", *sizes)["runs"] if len(sizes) > 1 else []
        self.batch = min(runs, key=lambda run: run["seconds"])["batch"] if runs else sizes[0]
        done = self._run("--images", self.n_images, "--batches", self.batch)
        (run,) = (self.first,) = done["runs"]
        right = run["accuracy"] if "accuracy" in run else accuracy(run["predictions"], self.setting.case)
        found = {"batch": self.batch, "accuracy": right, "peak_mb": done["peak_mb"], "versions": done["versions"]}
        found |= {"images": run["images"], "batch_ms": {run["batch"]: 1e3 * run["seconds"] for run in runs}}
        exact = self.setting.folder / "output_exact.bin"
        if self.description.get("exact_arguments") and exact.exists():
            found["float64_difference"] = self._difference(exact)
        return found

    def _difference(self, exact: Path) -> float:
        """Return the largest difference of V(T) of the last layer to the C++ loop's, computed in float64."""
        logits = self.setting.folder / "logits.npy"
        few = min(self.n_images, self.batch)
        arguments = [*self.description["exact_arguments"], "--logits", logits, "--images", few, "--batches", few]
        self._run(*arguments)
        expected = np.fromfile(exact, np.float64).reshape(len(self.setting.case.images), -1)[:few]
        found = np.load(logits)
        if found.ndim == 4:
            found = np.moveaxis(found, 1, -1)
        return float(np.abs(found.reshape(few, -1) - expected).max())

    def time(self, cores: str) -> dict[str, float]:
        """Run all images with the best batch size; where one round is asked for, that of `prepare` is it."""
        if rounds_of(self.name, self.setting.case, self.setting.params) == 1:
            return {key: self.first[key] for key in ("seconds", "processor_seconds")}
        (run,) = self._run("--images", self.n_images, "--batches", self.batch)["runs"]
        return {key: run[key] for key in ("seconds", "processor_seconds")}
