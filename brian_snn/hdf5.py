"""Look through an HDF5 file before anything of it is read.

HDF5 can take the numbers of an array from any other file of the machine, by external storage, by external links and by
virtual arrays; it can say that an array is large and store nothing of it; and a group can hold itself. Nobody who saves
a model or a network writes any of these, and libraries follow all of them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO, Any

from brian_snn.reading import check_size

_DEEPEST, _MOST_OBJECTS = 100, 200_000
_REMEDY = "save it again"


def count_numbers(file: str | Path | IO[bytes], size: int, texts: bool = False) -> int:
    """Return how many numbers an HDF5 file holds, after a look at all that is in it.

    Parameters
    ----------
    file : str, Path or binary file
        Opened for reading alone.
    size : int
        Its bytes.
    texts : bool
        Whether arrays of several texts may be in it.

    Raises
    ------
    ValueError
        If anything in it is of another kind than groups, numbers and text that are in the file itself, or comes to
        much more than the file. What h5py raises for a damaged file is passed on.
    """
    import h5py

    with h5py.File(file, "r") as opened:
        return _count(opened, size, texts)


def _count(root: Any, size: int, texts: bool) -> int:
    """Walk through a file; raise ValueError at what must not be in it."""
    import h5py

    pending, groups = [("/", root, 0)], set()
    n_numbers = n_bytes = n_objects = 0
    while pending:
        name, item, depth = pending.pop()
        n_objects += 1
        if n_objects > _MOST_OBJECTS or depth > _DEEPEST:
            raise ValueError(f"it holds more than {_MOST_OBJECTS:,} objects, or some {_DEEPEST} deep in one another")
        n_bytes += _attribute_bytes(name, item)
        if isinstance(item, h5py.Dataset):
            _check_dataset(name, item, texts)
            n_numbers += math.prod(item.shape or ())
            n_bytes += math.prod(item.shape or ()) * item.dtype.itemsize
        elif isinstance(item, h5py.Group):
            address = h5py.h5o.get_info(item.id).addr
            if address in groups:
                raise ValueError(f"its {name!r} is there under two names, perhaps within itself")
            groups.add(address)
            pending += [(f"{name.rstrip('/')}/{part}", _member(item, name, part), depth + 1) for part in item]
        else:
            raise ValueError(f"its {name!r} is neither an array nor a group")
        check_size(n_bytes, size, _REMEDY)
    return n_numbers


def _member(group: Any, name: str, part: str) -> Any:
    """Return what a group holds under a name, which must be in the group itself."""
    import h5py

    link = group.get(part, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"its {name.rstrip('/')}/{part} is a link to elsewhere, which is never followed; {_REMEDY}")
    return group[part]


def _check_dataset(name: str, dataset: Any, texts: bool) -> None:
    """Raise unless an array is of plain numbers or text that are in the file."""
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"the numbers of its {name!r} are in another file, which is never read; {_REMEDY}")
    _check_type(name, dataset.dtype)
    if not texts and dataset.dtype.kind == "O" and math.prod(dataset.shape or ()) > 1:
        raise ValueError(f"its {name!r} is an array of texts; weights are numbers")


def _check_type(name: str, dtype: Any) -> None:
    """Raise unless numbers or text are of a type that Keras writes; bfloat16 and float8 are opaque to HDF5."""
    import h5py

    opaque = dtype.kind == "V" and dtype.names is None and dtype.subdtype is None and dtype.itemsize <= 2
    if dtype.kind not in "biufSU" and not opaque and h5py.check_string_dtype(dtype) is None:
        raise ValueError(f"its {name!r} is of type {dtype}; numbers and text are all that it may hold")


def _attribute_bytes(name: str, item: Any) -> int:
    """Return what the attributes of an object come to, as far as can be said before they are read."""
    n_bytes = 0
    for key in item.attrs:
        attribute = item.attrs.get_id(key)
        _check_type(f"{name}.{key}", attribute.dtype)
        n_bytes += math.prod(attribute.shape or ()) * attribute.dtype.itemsize
    return n_bytes
