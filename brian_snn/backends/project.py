"""The folder of a program to take away: what Brian2 generates for a network, its numbers, and a test image.

Nothing in it says where or when or by whom it was made, and the same network and settings give the same bytes. Names of
populations stand in one table, escaped; files and code call them by their positions.
"""

from __future__ import annotations

import os
import shutil
import zlib
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from numpy.typing import NDArray

from brian_snn.backends.generator import generate_sources
from brian_snn.backends.model_file import MODEL, write_model
from brian_snn.network.network import Network
from brian_snn.results.result import Result
from brian_snn.settings import Settings
from brian_snn.simulation.job import Job
from brian_snn.version import __version__

#: What the program holds against its list of sums before it runs.
_SUMMED = (f"{MODEL}/*", "check/*", "static_arrays/*")

_README = """\
# A spiking network as a program

{neurons:,} neurons for images of shape {shape}. Made by brian_snn {version} and Brian2 {brian2}; network {digest:.16}.

    make                          # needs g++ and make alone; make -j4 is faster
    make check                    # shows a test image: counts and potentials must be those of brian_snn, bit for bit
    ./main images.npy             # what it says of each image; ./main --help has the options
    ./main -o results images.npy  # and all spike counts, final potentials, logits and predictions

Images are .npy of that shape, or with an axis of images in front, or the bare numbers as .f64, .f32 or .u8.
Files of results end in the position of a population; model/names.txt has the names.
Settings: {settings}.
What Brian2 generated, and brianlib, are under CeCILL 2.1 ({licence}), the rest under the MIT licence.
"""


def write_project(folder: Path, job: Job, right: Result) -> None:
    """Write the sources and the data of a program into an empty folder.

    Parameters
    ----------
    folder : Path
    job : Job
        What it simulates.
    right : Result
        What is right for a test image, the only one.

    Raises
    ------
    CompilerError
        If Brian2 cannot generate the sources.
    """
    generate_sources(job.layout, folder, "take_away")
    # Brian2's own names paths of this machine.
    (folder / "makefile").unlink()
    shutil.rmtree(folder / "results", ignore_errors=True)
    for source in (resources.files("brian_snn.backends") / "program").iterdir():
        (folder / source.name).write_bytes(source.read_bytes())
    (folder / MODEL).mkdir()
    write_model(folder / MODEL, job)
    (folder / "check").mkdir()
    for name, values in _right_arrays(job, right).items():
        np.save(folder / "check" / f"{name}.npy", values)
    licence = _licence_of_brian2()
    if licence:
        (folder / "LICENSE.brian2").write_text(licence, "utf-8")
    (folder / "README.md").write_text(_readme(right.network, right.settings, bool(licence)), "utf-8")
    paths = sorted(path for pattern in _SUMMED for path in folder.glob(pattern))
    lines = [f"{zlib.crc32(p.read_bytes()):08x} {p.stat().st_size} {p.relative_to(folder).as_posix()}\n" for p in paths]
    (folder / MODEL / "sums.txt").write_text("".join(lines), "utf-8")


def _right_arrays(job: Job, right: Result) -> dict[str, NDArray[Any]]:
    """Return the test image and what is right for it, by the names of the files."""
    arrays: dict[str, NDArray[Any]] = {"image": np.asarray(right.images, np.float64)}
    for k, (population, layer) in enumerate(zip(job.network.populations, job.layout.layers, strict=True)):
        if "n_spikes" in layer.model.outputs:
            arrays[f"spikes_{k}"] = right.spike_counts[population.name]
        if layer.has_membrane:
            arrays[f"potentials_{k}"] = right.potentials[population.name]
        if population.name in right.heads:
            head = right.heads[population.name]
            arrays[f"logits_{k}"] = head.logits
            if head.predictions is not None:
                arrays[f"predictions_{k}"] = head.predictions
    return arrays


def _readme(network: Network, settings: Settings, has_licence: bool) -> str:
    """Return the text that goes with the program; it names numbers and our own words alone."""
    usual = Settings().numbers()
    chosen = {name: value for name, value in settings.numbers().items() if value != usual[name] or name == "steps"}
    return _README.format(
        neurons=sum(population.size for population in network.populations),
        shape=network.input_shape,
        digest=network.digest(),
        version=__version__,
        brian2=brian2.__version__,
        settings=", ".join(f"{name} {value}" for name, value in chosen.items() if name != "backend"),
        licence="LICENSE.brian2" if has_licence else "https://cecill.info",
    )


def _licence_of_brian2() -> str:
    """Return the licence that Brian2 was installed with; empty where its files are not listed."""
    for file in metadata.files("brian2") or ():
        if file.name.startswith("LICENSE") and os.fspath(file).startswith("brian2-"):
            return file.read_text(encoding="utf-8")
    return ""
