"""An ``.npz`` as a recorded run: ``spikes/NAME``, ``events/NAME``, ``counts/NAME`` and perhaps the number of ``steps``.

Spikes are an array (n_images, steps, *shape), which is read image by image and step by step; events are rows of image,
step from 1, neuron; counts an array (n_images, *shape).
"""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import DataError
from brian_snn.escaping import shown
from brian_snn.reading import checked_members, npy_header, npz_array
from brian_snn.referee.sources import Clock, EventSource, Recorded, event_rows, whole_spikes

_FEWER = "write fewer images or events to a file"


def read(path: Path, clock: Clock) -> Recorded:
    """Return what the file holds."""
    archive = zipfile.ZipFile(path)
    trains: dict[str, Any] = {}
    counts: dict[str, NDArray[Any]] = {}
    lengths: set[tuple[int, int | None]] = set()
    steps = None
    for key, member in checked_members(archive).items():
        kind, _, name = key.removesuffix(".npy").partition("/")
        if kind in ("spikes", "events") and name in trains:
            raise DataError(f"{shown(name)!r} is there twice.")
        if kind == "spikes" and name:
            trains[name] = source = SpikeArray(archive, member, name)
            lengths.add(source.lengths)
        elif kind == "events" and name:
            trains[name] = EventSource(event_rows(npz_array(archive, member, _FEWER), name), name)
        elif kind == "counts" and name:
            array = whole_spikes(npz_array(archive, member, _FEWER), name)
            if array.ndim < 2:
                raise DataError(f"counts of {shown(name)!r} have shape {array.shape}; (n_images, *shape) was expected.")
            counts[name] = array
            lengths.add((len(array), None))
        elif kind == "steps" and not name:
            steps = int(whole_spikes(npz_array(archive, member, _FEWER).reshape(-1)[:1], "steps")[0])
        else:
            raise DataError(f"it holds {shown(key)!r}; spikes/NAME, events/NAME, counts/NAME or steps were expected.")
    n_images = {images for images, _ in lengths}
    all_steps = {found for _, found in lengths if found is not None} | ({steps} if steps is not None else set())
    if len(n_images) > 1 or len(all_steps) > 1:
        raise DataError(
            f"its arrays are of {sorted(n_images)} images and {sorted(all_steps)} steps; all must be alike."
        )
    return Recorded(trains, counts, next(iter(n_images), None), next(iter(all_steps), None))


class SpikeArray:
    """Spikes in a member of the file, read from the place where the last reading ended.

    Parameters
    ----------
    archive : ZipFile
    member : ZipInfo
    name : str
        Of the population, for messages.
    """

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> None:
        self._archive, self._member, self._name = archive, member, name
        with archive.open(member) as file:
            self._shape, self._dtype, is_fortran = npy_header(file)
            self._start = file.tell()
        self.shape = self._shape[2:]
        if len(self._shape) < 3:
            raise DataError(
                f"spikes of {shown(name)!r} have shape {self._shape}; (n_images, steps, *shape) was expected."
            )
        if self._dtype.kind not in "buif":
            raise DataError(f"spikes of {shown(name)!r} are of type {self._dtype}; numbers were expected.")
        if prod(self._shape) * self._dtype.itemsize != member.file_size - self._start:
            raise ValueError(f"spikes of {shown(name)!r} are longer or shorter than they say")
        self._whole = npz_array(archive, member, _FEWER) if is_fortran else None
        self._file: IO[bytes] | None = None

    @property
    def lengths(self) -> tuple[int, int]:
        """The numbers of images and steps."""
        return self._shape[0], self._shape[1]

    def block(self, images: slice, steps: slice) -> NDArray[Any]:
        """Return spikes, (n_images, steps, size)."""
        size = prod(self._shape[2:])
        if self._whole is not None:
            part = self._whole[images, steps]
            return whole_spikes(part.reshape(*part.shape[:2], size), self._name)
        n, length = images.stop - images.start, steps.stop - steps.start
        block = np.empty((n, length, size), self._dtype)
        if self._file is None:
            self._file = self._archive.open(self._member)
        for row, image in enumerate(range(images.start, images.stop)):
            # Forward it costs what lies between, backward the whole way from the start.
            self._file.seek(self._start + (image * self._shape[1] + steps.start) * size * self._dtype.itemsize)
            content = self._file.read(length * size * self._dtype.itemsize)
            block[row] = np.frombuffer(content, self._dtype).reshape(length, size)
        return whole_spikes(block, self._name)
