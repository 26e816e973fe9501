"""The inputs of a model that takes several: a dict of arrays outside, one vector an image inside.

The vector is the inputs one behind the other, in the order of the model, each flat in C order. A network keeps their
names and shapes (`Network.inputs`); every layer that sees an input reads its part of the vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import DataError

#: Name and shape of each, in the order of the model; none of a model with one.
Inputs = tuple[tuple[str, tuple[int, ...]], ...]


def places(inputs: Inputs) -> Iterator[tuple[str, tuple[int, ...], slice]]:
    """Yield the name and shape of each input, and its part of the vector."""
    start = 0
    for name, shape in inputs:
        yield name, shape, slice(start, start + prod(shape))
        start += prod(shape)


def as_one(images: Any, inputs: Inputs, what: str = "images") -> Any:
    """Return the images of several inputs as one array, (n_images, size of all); any other images as they are.

    Parameters
    ----------
    images : dict of (n_images, *shape) array
        By the name of the input; or a list of them in the order of the model; or what this returned before. With an
        axis of steps behind the first in all of them, the result has one too.
    inputs : tuple of (name, shape)
        Of the network.
    what : str
        Plural noun that begins the messages.

    Raises
    ------
    DataError
        If an input is missing or unknown, or the arrays are of other shapes or of different numbers of images.
    """
    if not inputs:
        if isinstance(images, Mapping):
            raise DataError(f"{what} are a dict of {_named(images)}; the model has one input, so give its array.")
        return images
    given = _by_name(images, inputs, what)
    if given is None:
        return images
    arrays = [_array(given[name], name, shape, what) for name, shape in inputs]
    leads = [array.shape[: array.ndim - len(shape)] for array, (_, shape) in zip(arrays, inputs, strict=True)]
    if len(set(leads)) > 1:
        found = ", ".join(f"{name!r} has {lead}" for (name, _), lead in zip(inputs, leads, strict=True))
        raise DataError(f"{what} are of different numbers: {found}; every input needs as many.")
    return np.concatenate([array.reshape(*leads[0], -1) for array in arrays], axis=-1)


def by_input(images: NDArray[Any], inputs: Inputs) -> dict[str, NDArray[Any]]:
    """Return the parts of images that `as_one` made, by the name of the input."""
    return {name: images[..., part].reshape(*images.shape[:-1], *shape) for name, shape, part in places(inputs)}


def _by_name(images: Any, inputs: Inputs, what: str) -> Mapping[str, Any] | None:
    """Return the arrays by name; None of what is one array already."""
    names = [name for name, _ in inputs]
    if isinstance(images, Mapping):
        missing, unknown = [n for n in names if n not in images], [n for n in images if n not in names]
        if missing or unknown:
            wrong = f"lack {_named(missing)}" if missing else f"have {_named(unknown)}"
            raise DataError(f"{what} {wrong}; the model's inputs are {_named(names)}.")
        return images
    if isinstance(images, Sequence) and not isinstance(images, str) and len(images) == len(inputs):
        return dict(zip(names, images, strict=True))
    size = sum(prod(shape) for _, shape in inputs)
    if np.ndim(images) < 2 or np.shape(images)[-1] != size:
        raise DataError(
            f"{what} are an array of shape {np.shape(images)}; the model has {len(inputs)} inputs, so a dict with the "
            f"arrays {_named(names)} was expected."
        )
    return None


def _array(values: Any, name: str, shape: tuple[int, ...], what: str) -> NDArray[Any]:
    """Return the array of an input, of (n_images, *shape) or (n_images, steps, *shape) numbers."""
    try:
        array = np.asanyarray(values)
    except ValueError as error:
        raise DataError(f"{what}, input {name!r}: they form no array ({error}).") from error
    if isinstance(array, np.ma.MaskedArray) or array.dtype.kind not in "buif":
        raise DataError(f"{what}, input {name!r}: of type {array.dtype}; plain real numbers were expected.")
    n_lead = array.ndim - len(shape)
    if n_lead not in (1, 2) or array.shape[n_lead:] != tuple(shape):
        expected = f"(number of images, {', '.join(map(str, shape))})"
        raise DataError(f"{what}, input {name!r}: of shape {array.shape}; {expected} was expected.")
    return array


def _named(names: Any) -> str:
    return ", ".join(repr(str(name))[:80] for name in list(names)[:8])
