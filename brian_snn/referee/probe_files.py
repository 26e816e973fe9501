"""The files of the conformance network: those that are written for a simulator, and the output that comes back."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import DataError
from brian_snn.files import check_target, staged_folder
from brian_snn.reading import read_text
from brian_snn.referee.probe import STEPS, probe_arrays, probe_input, probe_network
from brian_snn.referee.runs import read_run
from brian_snn.referee.sources import Clock

#: Plain arrays, as published with the package.
ARRAYS = "probe_v1_arrays.npz"

#: Hash of the plain arrays, and digest of the network.
HASHES = "probe_v1.sha256"


def arrays_file() -> bytes:
    """Return the plain arrays as an ``.npz`` of float32, which holds them exactly."""
    file = io.BytesIO()
    arrays = {n: a.astype(np.float32) if a.dtype.kind == "f" else a.astype(np.int32) for n, a in probe_arrays().items()}
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def hashes() -> str:
    """Return a line for the file of arrays and one for the digest of the network, as ``sha256sum`` writes them."""
    return f"{hashlib.sha256(arrays_file()).hexdigest()}  {ARRAYS}\n{probe_network().digest()}  network\n"


def published(name: str) -> bytes:
    """Return a file as it was published with the package."""
    return (resources.files("brian_snn") / "data" / name).read_bytes()


#: What is written of the probe: another format is another line.
WRITERS: dict[str, Callable[[Path], object]] = {
    "probe_v1_network.npz": lambda path: probe_network().save(path),
    "probe_v1_input.npz": lambda path: np.savez(path, x=probe_input()),
    ARRAYS: lambda path: path.write_bytes(published(ARRAYS)),
    HASHES: lambda path: path.write_bytes(published(HASHES)),
}


def write_probe(folder: Path) -> list[str]:
    """Write network, input, plain arrays and hashes into a folder, and return their names.

    Raises
    ------
    OutputError
        If the folder is there and not empty, or cannot be written.
    """
    check_target(folder, "folder")
    with staged_folder(folder) as staging:
        for name, write in WRITERS.items():
            write(staging / name)
    return list(WRITERS)


def read_output(path: Path) -> NDArray[Any]:
    """Return the counts of the output neurons: 16 numbers in a text, or the population ``out`` of a recorded run.

    Raises
    ------
    DataError
        If the file holds neither.
    """
    if path.suffix.lower() == ".txt":
        try:
            words = re.split(r"[\s,;]+", read_text(path, str(path), DataError).strip())
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: is no text; 16 whole numbers were expected.") from error
        if not all(re.fullmatch(r"[0-9]{1,9}", word) for word in words):
            raise DataError(f"{path}: holds something else than 16 whole numbers.")
        return np.array([int(word) for word in words])
    run = read_run(path, probe_network(), clock=Clock(steps=STEPS))
    if "out" not in (*run.trains, *run.counted):
        raise DataError(f"{path}: holds nothing of the population out, the probe's output.")
    run.require(1, STEPS)
    if "out" in run.counted:
        return run.counts("out", slice(0, 1))[0]
    return np.asarray(run.block("out", slice(0, 1), slice(0, STEPS))[0].sum(axis=0, dtype=np.int64))
