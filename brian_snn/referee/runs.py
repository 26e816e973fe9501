"""Runs that were recorded elsewhere: spike trains, events or counts by population, in any of the formats of `FORMATS`.

A run is read piece by piece as it is judged. Arrays have the images first and are laid out as the populations of the
network: channels last, flat in C order; what comes channels first is put in order on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from brian_snn.errors import READ_ERRORS, DataError, SettingError
from brian_snn.escaping import shown
from brian_snn.limits import is_limit
from brian_snn.network.network import Network
from brian_snn.reading import TooMuch, check_plain_file
from brian_snn.referee.sources import Clock, EventSource, Recorded
from brian_snn.referee.weights import channels_first

Layout = Literal["hwc", "chw"]

#: Longer runs are not looked at.
MOST_STEPS = 2**20


class Run:
    """A recorded run in the order of a network.

    Parameters
    ----------
    recorded : Recorded
    network : Network
    layout : str
        Of the recorded arrays and neuron numbers: ``hwc`` or ``chw``.
    names : mapping of str to str
        From the names in the file to those of populations; an empty one leaves a recording out.

    Raises
    ------
    DataError
        If a name is none of a population, or nothing is left to judge.
    """

    def __init__(self, recorded: Recorded, network: Network, layout: Layout, names: Mapping[str, str]) -> None:
        self._network, self._layout = network, layout
        self._trains = _renamed(recorded.trains, network, names)
        self._counts = {n: c for n, c in _renamed(recorded.counts, network, names).items() if n not in self._trains}
        if not (self._trains or self._counts):
            raise DataError("the run holds no spikes of any population of the network; nothing can be judged.")
        self.trains, self.counted = tuple(self._trains), tuple(self._counts)
        self.n_images, self.steps = recorded.n_images, recorded.steps
        shapes = {name: source.shape for name, source in self._trains.items()}
        for name, shape in (shapes | {name: counts.shape[1:] for name, counts in self._counts.items()}).items():
            self._check_shape(name, shape)
        for name, source in self._trains.items():
            if isinstance(source, EventSource):
                source.fit(network[name].size)

    def _check_shape(self, name: str, found: tuple[int, ...] | None) -> None:
        """Raise a `DataError` unless an array is flat, or of the shape of its population in the layout."""
        shape = self._network[name].shape
        expected = (shape[-1], *shape[:-1]) if self._layout == "chw" else shape
        if found is not None and found not in (expected, (prod(shape),)):
            raise DataError(
                f"the run's {shown(name)!r} has neurons of shape {found}; {expected} was expected"
                + (" (is its layout chw?)." if found == (shape[-1], *shape[:-1]) else ".")
            )

    def require(self, n_images: int, steps: int) -> None:
        """Raise a `DataError` unless the run is one of so many images and steps."""
        if steps > MOST_STEPS:
            raise DataError(f"the run has {steps} steps; {MOST_STEPS} at most are judged.")
        for found, expected, what in ((self.n_images, n_images, "images"), (self.steps, steps, "steps")):
            if found is not None and found != expected:
                raise DataError(f"the run has {found} {what}; {expected} were expected.")
        for source in self._trains.values():
            if isinstance(source, EventSource):
                source.require(n_images, steps)
        for name, counts in self._counts.items():
            if len(counts) != n_images:
                raise DataError(f"the counts of {shown(name)!r} are of {len(counts)} images; {n_images} were expected.")

    def block(self, name: str, images: slice, steps: slice) -> NDArray[Any]:
        """Return the spikes of a population, (n_images, steps, size)."""
        return self._ordered(name, self._trains[name].block(images, steps))

    def counts(self, name: str, images: slice) -> NDArray[Any]:
        """Return the counts of a population, (n_images, size)."""
        counts = self._counts[name][images]
        return self._ordered(name, counts.reshape(len(counts), -1))

    def _ordered(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        shape = self._network[name].shape
        return array[..., channels_first(shape)] if self._layout == "chw" and len(shape) > 1 else array


def _renamed(found: Mapping[str, Any], network: Network, names: Mapping[str, str]) -> dict[str, Any]:
    """Return recordings by the populations' names."""
    known, result = {p.name for p in network.populations}, {}
    for theirs, recording in found.items():
        ours = names.get(theirs, theirs)
        if not ours:
            continue
        if ours not in known:
            raise DataError(
                f"the run has {shown(theirs)!r}, which is no population of the network; there are "
                f"{', '.join(shown(name) for name in sorted(known))}. Give a table of names (--names)."
            )
        if ours in result:
            raise DataError(f"two recordings of the run are named {shown(ours)!r}.")
        result[ours] = recording
    return result


@dataclass(frozen=True)
class Format:
    """A format of runs.

    Parameters
    ----------
    name : str
    fits : callable
        From a path to whether it is of the format.
    module : str
        Whose ``read(path, clock)`` returns a `Recorded`.
    """

    name: str
    fits: Callable[[Path], bool]
    module: str


#: The formats: the first that fits.
FORMATS: list[Format] = [
    Format("a run folder of brian_snn", Path.is_dir, "run_folder"),
    Format("an .npz", lambda path: path.suffix.lower() == ".npz", "run_npz"),
    Format("a .csv", lambda path: path.suffix.lower() == ".csv", "run_csv"),
    Format("NIRData in HDF5", lambda path: path.suffix.lower() in (".h5", ".hdf5", ".nir"), "run_nirdata"),
]


def read_run(
    path: Path,
    network: Network,
    layout: Layout = "hwc",
    names: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> Run:
    """Return a recorded run.

    Parameters
    ----------
    path : Path
    network : Network
        Whose populations it names.
    layout, names
        As for `Run`.
    clock : Clock, optional
        For formats with times.

    Raises
    ------
    DataError
        If the file is of no format, damaged, too large, or does not fit the network.
    SettingError
        If the layout is none.
    """
    if layout not in ("hwc", "chw"):
        raise SettingError(f"layout is {layout!r}; it must be hwc or chw.")
    fitting = next((each for each in FORMATS if each.fits(path)), None)
    if fitting is None:
        check_plain_file(path, str(path), DataError)
        raise DataError(f"{path}: unknown kind of run; {', '.join(f.name for f in FORMATS)} were expected.")
    if fitting.module != "run_folder":
        check_plain_file(path, str(path), DataError)
    try:
        recorded = import_module(f"brian_snn.referee.{fitting.module}").read(path, clock or Clock())
        return Run(recorded, network, layout, names or {})
    except DataError as error:
        raise error if str(path) in str(error) else DataError(f"{path}: {error}") from error
    except TooMuch as error:
        raise DataError(f"{path}: {error}.") from error
    except READ_ERRORS as error:
        if is_limit(error):
            raise
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read ({reason}); the file is damaged or not what its name says.") from error
