"""The graph that passes between the stages: populations of neurons and the projections between them.

A `Population` becomes a Brian2 ``NeuronGroup``, a `Projection` becomes ``Synapses``. Both are plain frozen records of
arrays: nothing here knows Keras or Brian2. Conventions, fixed once: channels last, C-order flatten, dense weights
``(n_in, n_out)``, convolution kernels ``(kh, kw, c_in / groups, c_out)``, depthwise kernels ``(kh, kw, c_in,
multiplier)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

#: The source of a projection that carries the image itself, as numbers, to a first hidden layer.
INPUT = "<input>"

PopulationKind = Literal["spiking", "max_pool", "readout", "poisson"]
GeometryKind = Literal["dense", "conv2d", "depthwise", "average_pool", "identity", "max_pool"]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """Which input of a map reaches which output: all of a projection but its weights.

    ``dense`` maps ``(n_in,)`` to ``(n_out,)``; ``identity`` maps a shape to itself, element by element; the others
    slide a window over ``(height, width, channels)``.

    Parameters
    ----------
    kind : str
        ``dense``, ``conv2d``, ``depthwise``, ``average_pool``, ``identity`` or ``max_pool``.
    input_shape, output_shape : tuple of int
        What the map sees and yields, without the batch axis.
    kernel_size, strides, dilation : (int, int)
        Rows, columns.
    padding : ((int, int), (int, int))
        Zeros added above and below, left and right, already resolved from Keras' 'same' or 'valid'. A pooling window
        leaves the padding out.
    groups : int
        Channel groups of a ``conv2d``.
    """

    kind: GeometryKind
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    kernel_size: Pair = (1, 1)
    strides: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    groups: int = 1

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return prod(self.input_shape)

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return prod(self.output_shape)

    @property
    def is_window(self) -> bool:
        """Whether the map slides a window over rows and columns."""
        return self.kind not in ("dense", "identity")

    @property
    def extent(self) -> Pair:
        """Rows and columns from the start of the first window to the end of the last, with the padding before."""
        rows, columns = (
            (n - 1) * stride + dilation * (kernel - 1) + 1
            for n, stride, dilation, kernel in zip(
                self.output_shape[:2], self.strides, self.dilation, self.kernel_size, strict=True
            )
        )
        return rows, columns

    @property
    def weights_shape(self) -> tuple[int, ...] | None:
        """Shape of the weights that go with this geometry; None for max pooling, which has none."""
        rows, columns = self.kernel_size
        if self.kind == "dense":
            return (self.n_in, self.n_out)
        if self.kind == "conv2d":
            return (rows, columns, self.input_shape[2] // self.groups, self.output_shape[2])
        if self.kind == "depthwise":
            return (rows, columns, self.input_shape[2], self.output_shape[2] // self.input_shape[2])
        # An average has one weight per target: at the border its window holds fewer inputs.
        return None if self.kind == "max_pool" else self.output_shape


@dataclass(frozen=True, eq=False)
class Projection:
    """All synapses from one population, or from the image, onto another.

    Parameters
    ----------
    source, target : str
        Names of populations; the source may be `INPUT`.
    geometry : Geometry
        Connectivity.
    weights : float array of shape ``geometry.weights_shape``, or None
        Charge of one spike in thresholds; None for max pooling.
    source_index : (n_in,) int array, or None
        The source neuron (flat, C order) that feeds each input of the map, -1 where the input is a constant zero. None
        stands for ``arange(n_in)``. No neuron feeds two inputs.
    target_index : (n_out,) int array, or None
        The target neuron of each output of the map; None stands for ``arange(n_out)``.
    """

    source: str
    target: str
    geometry: Geometry
    weights: FloatArray | None
    source_index: IntArray | None = None
    target_index: IntArray | None = None


@dataclass(frozen=True, eq=False)
class Population:
    """A layer of neurons, named after the Keras layer that computes its linear map.

    Parameters
    ----------
    name : str
        Unique in the network.
    kind : str
        ``spiking`` (a ReLU or an average), ``max_pool``, ``readout`` (integrates and does not spike), or ``poisson`` (a
        pixel as a spike train; `brian_snn.simulate` adds it).
    shape : tuple of int
        Output shape of the Keras layer, without the batch axis.
    bias : float array of `shape`
        Constant current per step in thresholds; all zeros for ``max_pool``.
    depth : int
        Populations with a membrane on the longest path from the image, this one included; max pooling has none.
    scale : float or (channels,) float array
        lambda: activation of the ANN that corresponds to a rate of ``r_max``. 1 before normalisation.
    ceiling : float or None
        Upper limit of the ANN's activation (6 for ReLU6), in the ANN's units.
    reference : str
        The Keras layer whose output, after a ReLU, is this population's activation; ``outer/inner`` for nested models.
        ``conv > norm`` stands for the output of ``conv`` put through ``norm``, where a max pooling between the two has
        changed its place.
    """

    name: str
    kind: PopulationKind
    shape: tuple[int, ...]
    bias: FloatArray
    depth: int
    scale: float | FloatArray = 1.0
    ceiling: float | None = None
    reference: str = ""

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)

    @property
    def reference_path(self) -> tuple[str, ...]:
        """The Keras layers that `reference` names, in the order in which they compute; none if it is empty."""
        return tuple(self.reference.split(" > ")) if self.reference else ()


@dataclass(frozen=True, eq=False)
class Network:
    """A converted network: what `brian_snn.convert` returns and `brian_snn.simulate` takes.

    Parameters
    ----------
    populations : tuple of Population
        In topological order; the last one is the output.
    projections : tuple of Projection
        Those from `INPUT` among them.
    input_shape : tuple of int
        Shape of one image.
    percentile, normalisation, grid
        The settings of `brian_snn.convert` that made it. `grid` is 0 before rounding.
    provenance : dict of str to str
        Name and hash of the model, versions.
    output_activation : str
        What the model puts its output through and the network leaves off: ``softmax``, ``log_softmax``, ``sigmoid``,
        ``tanh``, or nothing (``linear``). ``hidden`` if the output is a layer inside the model, ``unknown`` if the file
        is of the format before this field.
    calibration_range : (float, float), or None
        Smallest and largest pixel of the calibration images; None if there were none, or if they are not known.
    """

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    input_shape: tuple[int, ...]
    percentile: float = 0.0
    normalisation: str = "none"
    grid: float = 0.0
    provenance: dict[str, str] = field(default_factory=dict)
    output_activation: str = "linear"
    calibration_range: tuple[float, float] | None = None

    def __getitem__(self, name: str) -> Population:
        """Return the population of that name; KeyError lists the names there are."""
        for population in self.populations:
            if population.name == name:
                return population
        raise KeyError(f"no population {name!r}; there are {[p.name for p in self.populations]}")

    @property
    def output(self) -> Population:
        """The last population, whose potentials or rates are the logits."""
        return self.populations[-1]

    def save(self, path: str | Path) -> None:
        """Write the network to an ``.npz`` file; `brian_snn.load_network` reads it back, without TensorFlow.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        from brian_snn.conversion.storage import save_network

        save_network(self, Path(path))

    def into(self, name: str) -> tuple[Projection, ...]:
        """Return the projections onto a population, those from the image among them."""
        return tuple(p for p in self.projections if p.target == name)

    def out_of(self, name: str) -> tuple[Projection, ...]:
        """Return the projections that leave a population."""
        return tuple(p for p in self.projections if p.source == name)
