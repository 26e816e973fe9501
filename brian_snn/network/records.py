"""The graph that passes between the stages: populations of neurons and the projections between them.

A `Population` becomes a Brian2 ``NeuronGroup``, a `Projection` becomes ``Synapses``. Both are plain frozen records of
arrays: nothing here knows a framework or Brian2. A record checks itself when it is made, by a conversion, from a file
or by hand (`brian_snn.network.validity`). Conventions, fixed once: channels last, C-order flatten, dense weights
``(n_in, n_out)``, convolution kernels ``(kh, kw, c_in / groups, c_out)``, depthwise kernels ``(kh, kw, c_in,
multiplier)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import prod
from typing import Final, Literal, NamedTuple, get_args

import numpy as np

from brian_snn.arrays import FloatArray, IntArray
from brian_snn.errors import ModelError
from brian_snn.network.geometry import Geometry as Geometry
from brian_snn.network.geometry import GeometryKind as GeometryKind
from brian_snn.network.geometry import Pair as Pair
from brian_snn.network.geometry import check_geometry
from brian_snn.network.validity import (
    check_text,
    check_texts,
    neurons,
    numbers,
    one_of,
    real,
    shape_of,
    shown,
    whole,
)

#: The source of a projection that carries the image itself, as numbers, to a first hidden layer. No name equals it.
INPUT: Final = None

#: What a model may put its output through; a readout leaves it off.
OUTPUT_ACTIVATIONS = ("softmax", "log_softmax", "sigmoid", "tanh")

PopulationKind = Literal["spiking", "max_pool", "readout", "poisson"]


@dataclass(frozen=True, eq=False)
class Projection:
    """All synapses from one population, or from the image, onto another.

    Parameters
    ----------
    source : str or None
        Name of a population, or `INPUT`.
    target : str
        Name of a population.
    geometry : Geometry
        Connectivity.
    weights : float array of shape ``geometry.weights_shape``, or None
        Charge of one spike in thresholds; None for max pooling.
    source_index : (n_in,) int array, or None
        The source neuron (flat, C order) that feeds each input of the map, -1 where the input is a constant zero. None
        stands for ``arange(n_in)``. No neuron feeds two inputs.
    target_index : (n_out,) int array, or None
        The target neuron of each output of the map; None stands for ``arange(n_out)``.

    Raises
    ------
    ModelError
        If an array is of another shape or holds what it must not; the message names the projection.
    """

    source: str | None
    target: str
    geometry: Geometry
    weights: FloatArray | None
    source_index: IntArray | None = None
    target_index: IntArray | None = None

    def __post_init__(self) -> None:
        """Check the map and its arrays; lists and other kinds of numbers become arrays of float64 and int32."""
        for name in (self.target, *[self.source] * (self.source is not INPUT)):
            check_text(name, f"{self.label}: populations are called by their names, which")
        if not isinstance(self.geometry, Geometry):
            raise ModelError(f"{self.label}: its geometry is {shown(self.geometry)}; a Geometry was expected")
        check_geometry(self.geometry, self.label)
        if self.geometry.weights_shape is not None:
            _set(self, weights=numbers(self.weights, f"{self.label}, weights", self.geometry.weights_shape))
        elif self.weights is not None:
            raise ModelError(f"{self.label}: a maximum has no weights")
        source = neurons(self.source_index, self.geometry.n_in, -1, f"{self.label}, source_index")
        target = neurons(self.target_index, self.geometry.n_out, 0, f"{self.label}, target_index")
        _set(self, source_index=source, target_index=target)

    @property
    def sender(self) -> str:
        """The population that is the source, of a projection that is not from the image."""
        assert self.source is not INPUT, "the image sends no spikes"
        return self.source

    @property
    def label(self) -> str:
        """The projection as error messages call it."""
        return f"projection {'the image' if self.source is INPUT else shown(self.source)} -> {shown(self.target)}"


class LayerPath(NamedTuple):
    """Where a model calls a layer. No two calls have the same, whatever the names are.

    Parameters
    ----------
    names : tuple of str
        Of the nested models around the layer, the outermost first, and of the layer.
    use : int
        0 for the first call of what has these names, 1 for the second.
    """

    names: tuple[str, ...]
    use: int = 0

    def __str__(self) -> str:
        """Return the path for people: ``outer/inner``, and ``name:1`` for a second use."""
        return "/".join(self.names) + (f":{self.use}" if self.use else "")


@dataclass(frozen=True, eq=False)
class Population:
    """A layer of neurons, named after the layer that computes its linear map.

    Parameters
    ----------
    name : str
        Unique in the network.
    kind : str
        ``spiking`` (a ReLU or an average), ``max_pool``, ``readout`` (integrates and does not spike), or ``poisson`` (a
        pixel as a spike train; `brian_snn.simulate` adds it).
    shape : tuple of int
        Output shape of that layer, channels last, without the batch axis.
    bias : float array of `shape`
        Constant current per step in thresholds; all zeros for ``max_pool``.
    depth : int
        Populations with a membrane on the longest path from the image, this one included; max pooling has none.
    scale : float or (channels,) float array
        lambda: activation of the ANN that corresponds to a rate of ``r_max``. 1 before normalisation.
    ceiling : float or None
        Upper limit of the ANN's activation (6 for ReLU6), in the ANN's units.
    reference : tuple of LayerPath
        The layer whose output, after a ReLU, is this population's activation; none if there is none. A second one
        is a norm through which that output is put, where a max pooling between the two has changed its place.
    leak : float
        1 - beta, the part of V that leaks away in a step, of neurons that have a leak of their own; 0 for those that
        have that of the settings.
    threshold : float
        In units of V_thr of the settings, of neurons that have one of their own; weights and bias are in them too.
    v_init : float or None
        V(0) in the same units, of neurons that have one of their own; None for that of the settings.
    clamp : int or None
        Steps for which they are held at V(0); None for what the settings say of their depth.
    levels : int or None
        L, where the ANN's activation takes the values 0, 1 / L ... 1 of its ceiling only; None for any up to that.

    Raises
    ------
    ModelError
        If a value is not what it should be; the message names the population.
    """

    name: str
    kind: PopulationKind
    shape: tuple[int, ...]
    bias: FloatArray
    depth: int
    scale: float | FloatArray = 1.0
    ceiling: float | None = None
    reference: tuple[LayerPath, ...] = ()
    leak: float = 0.0
    threshold: float = 1.0
    v_init: float | None = None
    clamp: int | None = None
    levels: int | None = None

    def __post_init__(self) -> None:
        """Check the values; lists and other kinds of numbers become tuples, int, float and arrays of float64."""
        where = self.label
        check_text(self.name, f"{where}: its name")
        one_of(self.kind, get_args(PopulationKind), f"{where}: its kind is")
        _set(self, shape=shape_of(self.shape, where), depth=whole(self.depth, 0, f"{where}: its depth"))
        _set(self, bias=numbers(self.bias, f"{where}, bias", self.shape))
        if self.kind in ("max_pool", "poisson") and np.any(self.bias):
            raise ModelError(f"{where}: its bias is not zero; a population of kind {self.kind} has none")
        scale = numbers(self.scale, f"{where}, scale")
        if scale.shape not in ((), self.shape[-1:]) or np.any(scale <= 0):
            raise ModelError(f"{where}: its scale is {shown(self.scale)}; one positive number, or one a channel, fits")
        _set(self, scale=scale if scale.ndim else float(scale))
        if self.ceiling is not None:
            _set(self, ceiling=real(self.ceiling, f"{where}: its ceiling"))
            if not 0 < self.ceiling < math.inf:
                raise ModelError(f"{where}: its ceiling is {self.ceiling!r}; a positive number was expected")
        _set(self, leak=real(self.leak, f"{where}: its leak"))
        if not 0 <= self.leak <= 1 or (self.leak and self.kind not in ("spiking", "readout")):
            raise ModelError(f"{where}: its leak is {self.leak!r}; a part of V from 0 to 1 was expected")
        _set(self, threshold=real(self.threshold, f"{where}: its threshold"))
        if not self.threshold > 0 or (self.threshold != 1 and self.kind not in ("spiking", "readout")):
            raise ModelError(f"{where}: its threshold is {self.threshold!r}; a positive number was expected")
        if self.v_init is not None:
            _set(self, v_init=real(self.v_init, f"{where}: its v_init"))
            if not math.isfinite(self.v_init) or self.kind not in ("spiking", "readout"):
                raise ModelError(f"{where}: its v_init is {self.v_init!r}; a finite number of a membrane was expected")
        if self.clamp is not None:
            _set(self, clamp=whole(self.clamp, 0, f"{where}: its clamp"))
        if self.levels is not None:
            _set(self, levels=whole(self.levels, 1, f"{where}: its levels"))
            if self.ceiling is None:
                raise ModelError(f"{where}: it has {self.levels} levels and no ceiling, which is the highest of them")
        if not isinstance(self.reference, tuple) or not all(isinstance(path, LayerPath) for path in self.reference):
            raise ModelError(f"{where}: its reference is {shown(self.reference)}; a tuple of LayerPath was expected")
        for path in self.reference:
            whole(path.use, 0, f"{where}: the use in its reference")
            check_texts(path.names, f"{where}: a name in its reference")

    @property
    def label(self) -> str:
        """The population as error messages call it."""
        return f"population {shown(self.name)}"

    @property
    def codes_pixels(self) -> bool:
        """Whether its neurons stand for the pixels of the image, and hear nothing."""
        return self.kind == "poisson"

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)


def _set(record: object, **values: object) -> None:
    """Set fields of a record that is being made."""
    for name, value in values.items():
        object.__setattr__(record, name, value)
