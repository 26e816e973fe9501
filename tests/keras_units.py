"""What the independent judge knows of a Keras model: its populations, measured with unit vectors.

Nothing of brian_snn is imported here. `spiking_units` walks the graph of the model. Whatever is linear in it is
measured, not rebuilt: a float64 copy of each Keras layer is fed the unit vectors, which yields the layer as a dense
matrix and a constant. Dense matrices limit this to small networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

FloatArray = NDArray[np.float64]

IMAGE = "the image"
MERGES = ("Add", "Concatenate")
MAX_POOLS = ("MaxPooling2D",)
AVERAGES = ("AveragePooling2D", "GlobalAveragePooling2D")
ACTIVATIONS = ("ReLU", "Activation", "Softmax")
NAMING = ("Dense", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", *MERGES)


@dataclass(frozen=True, eq=False)
class Affine:
    """A tensor of the model, written as ``sum over sources of a_source @ matrix + constant`` in the ANN's units.

    Parameters
    ----------
    name : str
        The layer that a population with this drive is named after.
    terms : tuple of (str, (n_source, *shape) float array)
        Name of the source population, or `IMAGE`, and matrix. Paths from the same source that meet in an addition stay
        apart: each is a projection with synapses of its own.
    constant : (*shape) float array
    """

    name: str
    terms: tuple[tuple[str, FloatArray], ...]
    constant: FloatArray

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor without the batch axis."""
        return self.constant.shape


@dataclass(frozen=True, eq=False)
class Unit:
    """A population of the oracle: what drives it and how it answers.

    Parameters
    ----------
    name, kind : str
        `kind` is ``spiking``, ``max_pool`` or ``readout``.
    drive : Affine
        Of ``max_pool``: the 0/1 matrix that lays the sources' neurons out as the pooling layer's input.
    shape : tuple of int
        Of the population; differs from the drive's for ``max_pool``.
    depth : int
        Populations with a membrane on the longest path from the image.
    pool : keras.layers.MaxPooling2D or None
    ceiling : float or None
        6 for ReLU6.
    """

    name: str
    kind: str
    drive: Affine
    shape: tuple[int, ...]
    depth: int
    pool: Any = None
    ceiling: float | None = None


def spiking_units(model: keras.Model) -> list[Unit]:
    """Return the populations of a Keras model in topological order, weights in the ANN's units."""
    walk = _Walk()
    shape = tuple(model.inputs[0].shape[1:])
    image = Affine("input", ((IMAGE, np.eye(prod(shape)).reshape(-1, *shape)),), np.zeros(shape))
    output = walk.model(model, [image])
    walk.add(Unit(output.name, "readout", output, output.shape, walk.depth(output) + 1))
    return walk.units


class _Walk:
    """Collects the units while the values flow through the graph."""

    def __init__(self) -> None:
        self.units: list[Unit] = []

    def depth(self, drive: Affine) -> int:
        """Return the depth of the deepest source."""
        return max([unit.depth for unit in self.units if unit.name in dict(drive.terms)], default=0)

    def add(self, unit: Unit) -> Affine:
        """Record a population; its activation is the value that flows on."""
        self.units.append(unit)
        identity = np.eye(prod(unit.shape)).reshape(-1, *unit.shape)
        return Affine(unit.name, ((unit.name, identity),), np.zeros(unit.shape))

    def model(self, model: Any, inputs: list[Affine]) -> Affine:
        """Send values through a Functional or Sequential model, nested ones included."""
        functional = getattr(model, "_functional", model)
        values = {id(tensor): value for tensor, value in zip(functional.inputs, inputs, strict=True)}
        nodes = functional._nodes_by_depth
        for node in [node for depth in sorted(nodes, reverse=True) for node in nodes[depth]]:
            if type(node.operation).__name__ != "InputLayer":
                arguments = [values[id(tensor)] for tensor in node.arguments.keras_tensors]
                values[id(node.outputs[0])] = self.layer(node.operation, arguments)
        return values[id(functional.outputs[0])]

    def layer(self, layer: Any, inputs: list[Affine]) -> Affine:
        """Send values through one layer."""
        kind = type(layer).__name__
        if kind in ("Functional", "Sequential", "Model"):
            return self.model(layer, inputs)
        if kind in MAX_POOLS:
            return self.pooled(layer, inputs[0], average=False)
        if kind in AVERAGES:
            return self.pooled(layer, inputs[0], average=True)
        if kind in ACTIVATIONS:
            return self.activated(inputs[0], activation_of(layer))
        value = merged(layer, inputs) if kind in MERGES else measured(layer, inputs[0])
        return self.activated(value, activation_of(layer))

    def activated(self, value: Affine, activation: str) -> Affine:
        """Make a population where there is a ReLU; a softmax reads the readout and is left out."""
        if activation in ("linear", "softmax") or is_rectified(value):
            return value
        ceiling = {"relu": None, "relu6": 6.0}[activation]
        return self.add(Unit(value.name, "spiking", value, value.shape, self.depth(value) + 1, ceiling=ceiling))

    def pooled(self, layer: Any, value: Affine, average: bool) -> Affine:
        """Pool the spikes themselves; a batch norm between them and the pooling commutes with it."""
        selection, factor, offset = split_channelwise(value)
        if average:
            drive = renamed(measured(layer, selection), layer.name)
            pooled = self.add(Unit(layer.name, "spiking", drive, drive.shape, self.depth(drive) + 1))
        else:
            copy = float64_copy(layer, selection.shape)
            shape = tuple(np.asarray(copy(selection.constant[None])).shape[1:])
            pooled = self.add(Unit(layer.name, "max_pool", selection, shape, self.depth(selection), pool=copy))
        terms = tuple((name, matrix * factor) for name, matrix in pooled.terms)
        return Affine(pooled.name, terms, pooled.constant + offset)


def activation_of(layer: Any) -> str:
    """Return ``linear``, ``relu``, ``relu6`` or ``softmax``."""
    if type(layer).__name__ == "ReLU":
        return "relu6" if layer.max_value == 6 else "relu"
    if type(layer).__name__ == "Softmax":
        return "softmax"
    return layer.activation.__name__ if hasattr(layer, "activation") else "linear"


def float64_copy(layer: Any, shape: Sequence[int]) -> Any:
    """Return the layer with its own weights in float64 and no activation, built for an input shape."""
    config = {**layer.get_config(), "dtype": "float64"}
    if "activation" in config:
        config["activation"] = "linear"
    copy = type(layer).from_config(config)
    copy.build((None, *shape))
    copy.set_weights(layer.get_weights())
    return copy


def measured(layer: Any, value: Affine) -> Affine:
    """Send an affine value through a linear layer: its rows are inputs, its constant is the input at rest."""
    copy = float64_copy(layer, value.shape)

    def at(rows: FloatArray) -> FloatArray:
        return np.asarray(copy(rows, training=False), dtype=np.float64)

    at_zero = at(np.zeros((1, *value.shape)))
    terms = tuple((name, at(rows) - at_zero) for name, rows in value.terms)
    name = layer.name if type(layer).__name__ in NAMING else value.name
    return Affine(name, terms, at(value.constant[None])[0])


def merged(layer: Any, values: list[Affine]) -> Affine:
    """Add or concatenate affine values: a term of one of them meets zeros in the others."""
    copy = type(layer).from_config({**layer.get_config(), "dtype": "float64"})
    terms = []
    for position, value in enumerate(values):
        for name, matrix in value.terms:
            parts = [np.zeros((len(matrix), *other.shape)) for other in values]
            parts[position] = matrix
            terms.append((name, np.asarray(copy(parts))))
    constant = np.asarray(copy([value.constant[None] for value in values]))[0]
    return Affine(layer.name, tuple(terms), constant)


def renamed(value: Affine, name: str) -> Affine:
    """Return the value under another name."""
    return Affine(name, value.terms, value.constant)


def is_rectified(value: Affine) -> bool:
    """Return whether the value only lays neurons out anew, perhaps among zeros: a ReLU changes nothing there."""
    total = sum(matrix.sum(axis=0) for _, matrix in value.terms)
    units = all(set(np.unique(matrix)) <= {0.0, 1.0} for _, matrix in value.terms)
    return units and total.max() == 1 and IMAGE not in dict(value.terms) and not value.constant.any()


def split_channelwise(value: Affine) -> tuple[Affine, FloatArray, FloatArray]:
    """Split a value into 0/1 selection, factor per channel and offset per channel."""
    reached = sum(np.abs(matrix).sum(axis=0) for _, matrix in value.terms)
    signs = np.sign(sum(matrix.sum(axis=(0, 1, 2)) for _, matrix in value.terms))
    factor, offset = reached.max(axis=(0, 1)) * signs, value.constant.max(axis=(0, 1))
    terms = tuple((name, (matrix != 0).astype(float)) for name, matrix in value.terms)
    if max(matrix.sum(axis=0).max() for _, matrix in terms) > 1 or (value.constant != offset).any():
        raise ValueError(f"the oracle cannot pool {value.name}: it is not a layout of spikes")
    return Affine(value.name, terms, np.zeros(value.shape)), factor, offset


def activations(units: list[Unit], images: FloatArray) -> dict[str, FloatArray]:
    """Return the ANN's activation of every unit, (n_images, *shape), in the ANN's units and float64."""
    flat = {IMAGE: np.asarray(images, dtype=np.float64).reshape(len(images), -1)}
    for unit in units:
        value = unit.drive.constant + sum(applied(flat[name], m) for name, m in unit.drive.terms)
        if unit.kind == "max_pool":
            value = np.asarray(unit.pool(value))
        elif unit.kind == "spiking":
            value = np.clip(value, 0.0, unit.ceiling)
        flat[unit.name] = value.reshape(len(images), -1)
    return {unit.name: flat[unit.name].reshape(len(images), *unit.shape) for unit in units}


def percentile_scales(units: list[Unit], images: FloatArray, percentile: float = 99.9) -> dict[str, float]:
    """Return lambda of every spiking unit from its positive activations, and 1 for the readout."""
    scales = {}
    for name, values in activations(units, images).items():
        unit = next(unit for unit in units if unit.name == name)
        positive = values[values > 0]
        scales[name] = 1.0
        if unit.kind == "spiking" and positive.size:
            scales[name] = min(float(np.percentile(positive, percentile)), unit.ceiling or np.inf)
    return scales


def applied(rows: NDArray[Any], matrix: FloatArray) -> FloatArray:
    """Multiply (n_images, n_source) by (n_source, *shape)."""
    return (rows @ matrix.reshape(matrix.shape[0], -1)).reshape(len(rows), *matrix.shape[1:])
