"""Give a model that was built from a file of Keras 2 the weights of the file.

An ``.h5`` holds, for every layer of the outermost model, the list of its weights: first those that training changes,
then the others, of a nested model too, whose list mixes those of all its layers. A ``.keras`` holds a tree of groups,
each named after the class of a layer. Both orders follow from the configuration; counts, shapes and, where the file
has them, names are compared.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.config import MODELS
from brian_snn.frontends.keras.keras2.build import Part

_REMEDY = "load it where it was made and save it again with its weights."
# Kernels that Theano's convolution turns around; a depthwise one was turned by Keras before each use.
_CONVOLUTIONS = ("Conv1D", "Conv2D")


@dataclass(frozen=True, eq=False)
class _Array:
    """An array in the file.

    Parameters
    ----------
    name : str
        In the file, for messages.
    role : str
        What the file calls it, such as ``kernel``; nothing if it does not say.
    values : numpy array
        Its numbers.
    """

    name: str
    role: str
    values: Any


@dataclass(frozen=True, eq=False)
class _Place:
    """A weight that is to be set."""

    part: Part
    variable: Any


_WRAPPER = "TimeDistributed"


def set_listed_weights(model: Part, file: Any, theano: bool) -> None:
    """Set the weights from an open ``.h5`` file.

    Parameters
    ----------
    model : Part
        As `build` returns it.
    file : h5py.File
        Open, looked through by `count_numbers`.
    theano : bool
        Whether kernels are to be turned around.

    Raises
    ------
    ModelError
        If weights are missing or do not fit; the message names the layer.
    """
    group = file["model_weights"] if "model_weights" in file else file
    wanted = {part: [*changing, *fixed] for part in model.parts for changing, fixed in [_places(part)]}
    parts = [part for part, places in wanted.items() if places]
    for part, name in zip(parts, _listed_names(group, parts), strict=True):
        _set_all(wanted[part], _listed_arrays(group[name], part), theano, part)
    _finish(model)


def _listed_names(group: Any, parts: list[Part]) -> list[str]:
    """Return the groups of layers that have weights: of their names, or where some have none, in the same order."""
    names = [name for name in attribute_list(group, "layer_names") if name in group]
    filled = [name for name in names if attribute_list(group[name], "weight_names")]
    own = [part.name for part in parts]
    if set(own) <= set(names):
        return own
    if len(filled) == len(own):
        return filled
    missing = next(part for part in parts if part.name not in names)
    raise ModelError(f"{_label(missing)}: its weights are not in the file; {_REMEDY}")


def _label(part: Part) -> str:
    return f"layer {part.name!r} ({part.class_name})"


def set_tree_of_weights(model: Part, file: Any) -> None:
    """Set the weights from the open file of weights in a ``.keras`` file, of which `set_listed_weights` says more."""
    # Some versions wrote the separators of Windows, and the name of another list of the layers.
    names: dict[str, str] = {}
    file.visit(lambda name: names.update({_tree_name(name): name}))
    _set_tree(model, "layers", file, names)
    _finish(model)


def _tree_name(name: str) -> str:
    return name.replace("\\", "/").replace("_layer_checkpoint_dependencies", "layers")


def _set_tree(model: Part, place: str, file: Any, names: dict[str, str]) -> None:
    """Set the weights of all layers of a model, whose groups are in `place`."""
    used: Counter[str] = Counter()
    for part in model.parts:
        name = _snake_case(part.class_name)
        used[name] += 1
        group = f"{place}/{name}_{used[name] - 1}" if used[name] > 1 else f"{place}/{name}"
        if part.class_name in MODELS:
            _set_tree(part, f"{group}/layers", file, names)
            continue
        group += "/layer" * (part.class_name == _WRAPPER)
        changing, fixed = _places(part)
        arrays: list[_Array] = []
        while changing + fixed and (array := f"{group}/vars/{len(arrays)}") in names:
            arrays.append(_Array(array, "", file[names[array]][()]))
        if changing or fixed:
            _set_all([*changing, *fixed], arrays, False, part)


def _snake_case(class_name: str) -> str:
    """Return the name that Keras makes of that of a class."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _places(part: Part) -> tuple[list[_Place], list[_Place]]:
    """Return the weights that training changes and the others, each in the order of Keras 2."""
    if part.class_name in MODELS:
        inner = [_places(layer) for layer in part.parts]
        changing = [place for both in inner for place in both[0]]
        fixed = [place for both in inner for place in both[1]]
    else:
        # What is within a wrapper has its weights.
        layer = part.layer.layer if part.class_name == _WRAPPER and part.layer is not None else part.layer
        variables = ([], []) if layer is None else (layer._trainable_variables, layer._non_trainable_variables)
        changing, fixed = ([_Place(part, variable) for variable in each] for each in variables)
    return (changing, fixed) if part.trainable else ([], [*changing, *fixed])


def _listed_arrays(listed: Any, part: Part) -> list[_Array]:
    """Return the arrays of a layer of the outermost model."""
    arrays = []
    for name in attribute_list(listed, "weight_names"):
        if name not in listed:
            raise ModelError(f"{_label(part)}: its weight {name!r} is missing; {_REMEDY}")
        role = re.sub(r"_\d+$", "", name.split("/")[-1].split(":")[0])
        arrays.append(_Array(name, role, listed[name][()]))
    return arrays


def attribute_list(item: Any, name: str) -> list[str]:
    """Return a list of texts, which Keras puts into several attributes if it is long."""
    keys = [name] if name in item.attrs else []
    while not keys or keys[-1] != name:
        if f"{name}{len(keys)}" not in item.attrs:
            break
        keys.append(f"{name}{len(keys)}")
    texts = [text for key in keys for text in np.ravel(item.attrs[key]).tolist()]
    return [text.decode() if isinstance(text, bytes) else str(text) for text in texts]


def _set_all(places: list[_Place], arrays: list[_Array], theano: bool, part: Part) -> None:
    """Set weights in their order, after a look at their count, shapes and names."""
    if part.class_name == "Normalization":
        # Mean and variance; in some versions a count of images follows, on which nothing depends.
        places, arrays = places[:2], arrays[:2]
    if len(places) != len(arrays):
        raise ModelError(f"{_label(part)}: it has {len(places)} weights, and the file holds {len(arrays)}; {_REMEDY}")
    roles = {str(place.variable.name) for place in places}
    for place, array in zip(places, arrays, strict=True):
        shape, role = tuple(place.variable.shape), str(place.variable.name)
        if np.shape(array.values) != shape or (array.role in roles and array.role != role):
            raise ModelError(
                f"{_label(place.part)}: its {role} has shape {shape}, and in its place the file holds {array.name!r} "
                f"of shape {np.shape(array.values)}; {_REMEDY}"
            )
        turned = theano and role == "kernel" and place.part.class_name in _CONVOLUTIONS
        axes = tuple(range(len(shape) - 2))
        place.variable.assign(np.flip(array.values, axes) if turned else array.values)


def _finish(model: Part) -> None:
    """Let layers compute what they derive from their weights."""
    for part in model.parts:
        if part.class_name in MODELS:
            _finish(part)
        elif hasattr(part.layer, "finalize_state"):
            part.layer.finalize_state()
