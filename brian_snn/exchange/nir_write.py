"""`brian_snn.write_nir`: a network for other simulators, as a NIR file."""

from __future__ import annotations

import math
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.checks import real_number
from brian_snn.conversion.normalise import round_to_grid
from brian_snn.errors import ModelError, SettingError
from brian_snn.exchange.nir_file import NirGraph, NirNode, write_graph
from brian_snn.network.maps import apply_map
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from brian_snn.settings import Reset

#: Which `nir` means which reset by the same words: of 1.0.4 a neuron without v_reset subtracts.
_VERSIONS = {"subtraction": "1.0.4", "zero": "1.0.8"}

#: Numbers of a matrix that stands for a map with indices of its own.
_MOST_NUMBERS = 2**26


def write_nir(
    network: Network,
    path: str | Path,
    *,
    reset: Reset | None = None,
    r: float = 1.0,
    readout: Literal["current", "spikes"] = "current",
    weight_grid: float | None = None,
) -> int:
    """Write a network as a NIR file, channels first.

    Parameters
    ----------
    network : Network
        On its grid.
    path : str or Path
        The file.
    reset : str, optional
        ``zero`` is written as a v_reset of 0 and read by nir 1.0.6 and newer, ``subtraction`` as none and read by nir
        up to 1.0.5; by default what the network asks for, else ``subtraction``.
    r : float
        Resistance of all neurons, 1 over the step in the units of who reads it: 1, or 1e4 for spikingjelly.
    readout : str
        What an output that only integrates becomes: nothing, so that the file ends in the ``current`` that it would
        integrate, or neurons that have ``spikes``.
    weight_grid : float, optional
        A power of two of which weights and biases become multiples, so that sums in float32 are exact too.

    Returns
    -------
    rounded : int
        How many weights and biases need more than the 24 bits of float32, in which they are written, and were rounded
        to it; 0 if the file holds the network as it is.

    Raises
    ------
    ModelError
        If NIR cannot say what a population or projection does; names it.
    SettingError
        If an argument is outside its range.
    OutputError
        If the file cannot be written.
    """
    reset = network.simulation.get("reset", "subtraction") if reset is None else reset  # type: ignore[assignment]
    if reset not in _VERSIONS:
        raise SettingError(f"reset is {reset!r}; it must be subtraction or zero.")
    if readout not in ("current", "spikes"):
        raise SettingError(f"readout is {readout!r}; it must be current or spikes.")
    if not real_number("r", r) > 0:
        raise SettingError(f"r is {r!r}; it must be positive.")
    if network.heads or network.inputs:
        raise ModelError("the network has several inputs or outputs; a NIR file is written of one and one.")
    if weight_grid is not None:
        network = round_to_grid(network, network.grid, weight_grid)
    writer = _Writer(network, reset, r, readout)
    write_graph(writer.graph(), Path(path))
    return writer.rounded


class _Writer:
    """The nodes and edges of a network so far."""

    def __init__(self, network: Network, reset: Reset, r: float, readout: str) -> None:
        self._network, self._reset, self._r, self._readout = network, reset, r, readout
        self._nodes: dict[str, NirNode] = {}
        self._edges: list[tuple[str, str]] = []
        self.rounded = 0
        self._taken = {_plain(population.name) for population in network.populations}
        if len(self._taken) < len(network.populations) or {"input", "output"} & self._taken:
            raise ModelError(
                "populations are called input or output, or alike but for slashes, which names in NIR cannot have; "
                "rename the layers of the model."
            )

    def graph(self) -> NirGraph:
        """Return all of the network."""
        shape = self._network.input_shape
        self._image_is_turned = not any(_takes_channels_first(p, shape) for p in self._network.out_of(INPUT))
        self._node("input", "Input", shape=np.array(_first(shape) if self._image_is_turned else shape))
        for population in self._network.populations:
            self._population(population)
        output = self._network.output
        self._node("output", "Output", shape=np.array(_first(output.shape)))
        self._edges += [(name, "output") for name in self._ends]
        return NirGraph(_VERSIONS[self._reset], self._nodes, self._edges)

    def _node(self, name: str, kind: str, **values: Any) -> str:
        self._nodes[name] = NirNode(name, kind, values)
        return name

    def _single(self, values: FloatArray) -> NDArray[np.float32]:
        """Return weights in float32, which is what others hold, and count those that it rounds."""
        single = np.ascontiguousarray(values, np.float32)
        self.rounded += int(np.count_nonzero(single != values))
        return single

    def _new(self, name: str) -> str:
        """Return a name that no node has."""
        while name in self._taken or name in self._nodes:
            name += "_"
        return name

    def _population(self, population: Population) -> None:
        """Add the neurons of a population and the maps onto them."""
        if population.kind in ("max_pool", "poisson"):
            raise ModelError(f"{population.label}: it is of kind {population.kind}, which NIR has no node for.")
        into = self._network.into(population.name)
        if not into:
            raise ModelError(f"{population.label}: nothing reaches it but its bias, which NIR cannot say.")
        bias = population.bias
        carries = next((k for k, p in enumerate(into) if p.geometry.kind != "identity"), None)
        if bias.any() and carries is None:
            raise ModelError(f"{population.label}: no map onto it can carry its bias in NIR.")
        ends = []
        for k, projection in enumerate(into):
            name = self._new(f"{_plain(population.name)}_map" + f"_{k}" * (len(into) > 1))
            ends.append(self._map(name, projection, population, bias if k == carries else np.zeros_like(bias)))
        if population.kind == "readout" and self._readout == "current" and not population.leak:
            self._ends = ends
            return
        name = self._neurons(population)
        self._edges += [(end, name) for end in ends]
        self._ends = [name]

    def _neurons(self, population: Population) -> str:
        """Add the neurons of a population."""
        shape = _first(population.shape)
        values = {"r": np.full(shape, self._r, np.float32), "v_threshold": np.full(shape, population.threshold)}
        if self._reset == "zero":
            values["v_reset"] = np.zeros(shape, np.float32)
        if not population.leak:
            return self._node(_plain(population.name), "IF", **values)
        if population.leak == 1:
            raise ModelError(f"{population.label}: all of its potential leaks away in a step, which no tau does.")
        # All of what arrives is taken: (1 - beta) r = 1.
        leaky = {
            "tau": np.full(shape, -1 / self._r / math.log1p(-population.leak), np.float64),
            "r": np.full(shape, 1 / population.leak, np.float64),
            "v_leak": np.zeros(shape, np.float32),
        }
        if population.kind == "readout" and self._readout == "current":
            return self._node(_plain(population.name), "LI", **leaky)
        return self._node(_plain(population.name), "LIF", **values | leaky)

    def _map(self, name: str, projection: Projection, target: Population, bias: FloatArray) -> str:
        """Add the nodes of a projection and return the last."""
        source = "input" if projection.source is INPUT else _plain(projection.source)
        shape = self._network.input_shape if projection.source is INPUT else self._network[projection.source].shape
        geometry = projection.geometry
        turned = projection.source is not INPUT or self._image_is_turned
        whole = projection.target_index is None and (
            projection.source_index is None if turned else _takes_channels_first(projection, self._network.input_shape)
        )
        if whole and geometry.kind == "identity" and geometry.input_shape == target.shape and not bias.any():
            scale = self._single(np.moveaxis(np.asarray(projection.weights), -1, 0))
            return self._edge(source, self._node(name, "Scale", scale=scale))
        if whole and geometry.is_window and geometry.output_shape == target.shape:
            return self._edge(source, self._convolution(name, projection, target, bias))
        return self._dense(name, projection, target, bias, source, shape if turned else (*shape[1:], shape[0]))

    def _edge(self, source: str, target: str) -> str:
        self._edges.append((source, target))
        return target

    def _convolution(self, name: str, projection: Projection, target: Population, bias: FloatArray) -> str:
        """Add a convolution, its groups as zeros of a full kernel, uneven padding as rows of zeros."""
        geometry = projection.geometry
        kernel, padding = _even(geometry, _full_kernel(projection, target))
        per_channel = bias.reshape(-1, bias.shape[-1])
        if np.any(per_channel != per_channel[0]):
            raise ModelError(f"{target.label}: its bias varies within a channel, which NIR cannot say.")
        return self._node(
            name,
            "Conv2d",
            weight=self._single(kernel.transpose(3, 2, 0, 1)),
            bias=self._single(per_channel[0]),
            stride=np.array(geometry.strides),
            padding=np.array(padding),
            dilation=np.array(geometry.dilation),
            groups=1,
            input_shape=np.array(geometry.input_shape[:2]),
        )

    def _dense(
        self, name: str, projection: Projection, target: Population, bias: FloatArray, source: str, shape: Any
    ) -> str:
        """Add a dense map, of a flattened source where that has channels."""
        if len(target.shape) > 1:
            raise ModelError(
                f"{projection.label}: a {projection.geometry.kind} map of some neurons onto some others of a "
                "population with channels, which NIR cannot say."
            )
        n_source = prod(shape)
        if n_source * target.size > _MOST_NUMBERS:
            raise ModelError(f"{projection.label}: its matrix would have {n_source * target.size:,} numbers.")
        matrix = _matrix(projection, n_source, target.size)
        if len(shape) > 1:
            order = np.arange(n_source)
            if projection.source is not INPUT or self._image_is_turned:
                order = np.moveaxis(order.reshape(shape), -1, 0).ravel()
            flat = self._node(
                self._new(f"{name}_flatten"), "Flatten", start_dim=0, end_dim=-1, input_type=np.array(_first(shape))
            )
            source, matrix = self._edge(source, flat), matrix[order]
        affine = self._node(name, "Affine", weight=self._single(matrix.T), bias=self._single(bias))
        return self._edge(source, affine)


def _plain(name: str) -> str:
    """Return a name that HDF5 takes as one."""
    return name.replace("/", ".") if name != "." else "_"


def _first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape with its channels first."""
    return (shape[-1], *shape[:-1])


def _takes_channels_first(projection: Projection, image_shape: tuple[int, ...]) -> bool:
    """Whether a map takes the channels of the image from its first axis."""
    index, shape = projection.source_index, projection.geometry.input_shape
    if len(shape) < 2 or image_shape != _first(shape):
        return False
    turned = np.moveaxis(np.arange(prod(shape)).reshape(image_shape), 0, -1).ravel()
    if index is None:
        # Without a single long axis besides, both orders are the same.
        return image_shape != shape and bool(np.array_equal(turned, np.arange(turned.size)))
    return bool(np.array_equal(index, turned))


def _matrix(projection: Projection, n_source: int, n_target: int) -> FloatArray:
    """Return a projection as a matrix, (n_source, n_target)."""
    geometry = projection.geometry
    units = np.eye(geometry.n_in).reshape(-1, *geometry.input_shape)
    local = apply_map(geometry, projection.weights, units).reshape(geometry.n_in, -1)
    index = np.arange(geometry.n_in) if projection.source_index is None else projection.source_index
    target = np.arange(geometry.n_out) if projection.target_index is None else projection.target_index
    matrix, real = np.zeros((n_source, n_target)), index >= 0
    matrix[np.ix_(index[real], target)] = local[real]
    return matrix


def _full_kernel(projection: Projection, target: Population) -> FloatArray:
    """Return the kernel of a sliding map as that of a convolution without groups, (rows, columns, in, out)."""
    geometry, weights = projection.geometry, np.asarray(projection.weights)
    n_in, n_out = geometry.input_shape[2], geometry.output_shape[2]
    if geometry.kind == "average_pool":
        if np.any(weights != weights[:1, :1]):
            raise ModelError(f"{target.label}: windows at the edge average fewer neurons, which NIR cannot say.")
        weights = np.broadcast_to(weights[0, 0][:, None], (*geometry.kernel_size, n_in, 1))
    groups = geometry.groups if geometry.kind == "conv2d" else n_in
    kernel = weights.reshape(*geometry.kernel_size, n_in // groups, n_out)
    full = np.zeros((*geometry.kernel_size, n_in, n_out))
    for group in range(groups):
        inputs = slice(group * n_in // groups, (group + 1) * n_in // groups)
        outputs = slice(group * n_out // groups, (group + 1) * n_out // groups)
        full[:, :, inputs, outputs] = kernel[..., outputs]
    return full


def _even(geometry: Geometry, kernel: FloatArray) -> tuple[FloatArray, tuple[int, int]]:
    """Return a kernel, with rows and columns of zeros, that does with the same padding on both sides what it did."""
    margins: list[tuple[int, int]] = []
    padding = []
    for axis in (0, 1):
        (before, after), dilation = geometry.padding[axis], geometry.dilation[axis]
        reached = (geometry.output_shape[axis] - 1) * geometry.strides[axis]
        extent = dilation * (geometry.kernel_size[axis] - 1) + 1
        # What lies behind the last window of a plain convolution, which would make more windows.
        p = max(before, after)
        p += -(p - before) % dilation
        in_front = (p - before) // dilation
        room = geometry.input_shape[axis] + 2 * p - (extent + dilation * in_front) - reached
        behind = max(0, -(-(room - geometry.strides[axis] + 1) // dilation))
        margins.append((in_front, behind))
        padding.append(p)
    widened: NDArray[np.float64] = np.pad(kernel, (*margins, (0, 0), (0, 0)))
    return widened, (padding[0], padding[1])
