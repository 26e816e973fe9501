"""The network: populations and the projections between them, and what must hold of them together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import ModelError, SettingError
from brian_snn.inputs import Inputs
from brian_snn.network.encoding import Arrays, digest, encode, write
from brian_snn.network.records import INPUT, OUTPUT_ACTIVATIONS, Population, Projection, _set
from brian_snn.network.validity import MOST_ELEMENTS, check_text, check_texts, one_of, real, shape_of, shown, two
from brian_snn.settings import Settings
from brian_snn.summaries import as_html, as_text


@dataclass(frozen=True, eq=False, repr=False)
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
    inputs : tuple of (name, shape)
        Those of a model with several, which the image has one behind the other (`brian_snn.inputs`).
    simulation : dict
        Settings that whoever made it asks for, by their names in `Settings.numbers`: what `brian_snn.simulate` takes
        where it is told nothing else.
    heads : tuple of (name, activation)
        Of a model with several outputs the populations that read them out, which come last, and what each is put
        through, as in `output_activation`.

    Raises
    ------
    ModelError
        If populations have equal names or are not in topological order, a projection does not fit its ends, or a number
        is off the grid; the message names population or projection.
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
    inputs: Inputs = ()
    heads: tuple[tuple[str, str], ...] = ()
    simulation: dict[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what the parts are to each other."""
        _set(self, populations=tuple(self.populations), projections=tuple(self.projections))
        for parts, kind in ((self.populations, Population), (self.projections, Projection)):
            if strange := [part for part in parts if not isinstance(part, kind)]:
                raise ModelError(f"{shown(strange[0])} is no {kind.__name__}, of which a network consists")
        _set(self, input_shape=shape_of(self.input_shape, "the image"), percentile=real(self.percentile, "percentile"))
        if not 0 <= self.percentile <= 100:
            raise ModelError(f"percentile is {self.percentile!r}; it must be 0 to 100")
        one_of(self.normalisation, ("none", "layer", "channel"), "normalisation is")
        _set(self, grid=real(self.grid, "grid"))
        if self.grid != 0 and not (0 < self.grid <= 1 and math.frexp(self.grid)[0] == 0.5):
            raise ModelError(f"grid is {self.grid!r}, which is no power of two up to 1")
        one_of(self.output_activation, ("linear", *OUTPUT_ACTIVATIONS, "hidden", "unknown"), "output_activation is")
        if self.calibration_range is not None:
            low, high = (real(end, "calibration_range") for end in two(self.calibration_range, "calibration_range"))
            if not low <= high:
                raise ModelError(
                    f"calibration_range is {shown(self.calibration_range)}; its smallest pixel comes first"
                )
            _set(self, calibration_range=(low, high))
        if not isinstance(self.provenance, dict):
            raise ModelError(f"provenance is {shown(self.provenance)}; a dict of text was expected")
        _set(self, inputs=self._checked_inputs(), heads=self._checked_heads())
        if not isinstance(self.simulation, dict):
            raise ModelError(f"simulation is {shown(self.simulation)}; a dict of settings was expected")
        try:
            Settings.from_numbers(self.simulation)
        except SettingError as error:
            raise ModelError(f"simulation asks for settings that there are not: {error}") from error
        check_texts((*self.provenance, *self.provenance.values()), "an entry of provenance")
        check_network(self)

    def _checked_inputs(self) -> Inputs:
        """Return names and shapes of several inputs, which together are the image."""
        if not isinstance(self.inputs, tuple | list):
            raise ModelError(f"inputs are {shown(self.inputs)}; pairs of a name and a shape were expected")
        for pair in self.inputs:
            two(pair, "an input")
            check_text(pair[0], "the name of an input")
        inputs = tuple((name, shape_of(shape, f"input {shown(name)}")) for name, shape in self.inputs)
        if inputs and (len({name for name, _ in inputs}) < len(inputs) or len(inputs) < 2):
            raise ModelError(
                f"inputs are called {shown([name for name, _ in inputs])}; two or more names were expected"
            )
        if inputs and self.input_shape != (sum(math.prod(shape) for _, shape in inputs),):
            raise ModelError(f"the image has shape {self.input_shape}, and not that of the inputs one behind the other")
        return inputs

    def _checked_heads(self) -> tuple[tuple[str, str], ...]:
        """Return names and activations of several outputs, which are the last populations."""
        if not isinstance(self.heads, tuple | list):
            raise ModelError(f"heads are {shown(self.heads)}; pairs of a name and an activation were expected")
        heads = tuple(two(head, "a head") for head in self.heads)
        for name, activation in heads:
            check_text(name, "the name of a head")
            one_of(activation, ("linear", *OUTPUT_ACTIVATIONS), "the activation of a head is")
        last = [(p.name, p.kind) for p in self.populations[len(self.populations) - len(heads) :]]
        if len(heads) == 1 or (heads and last != [(name, "readout") for name, _ in heads]):
            raise ModelError(f"heads are {shown([name for name, _ in heads])}, which are not the last populations")
        return heads

    def __repr__(self) -> str:
        """Return a summary of a few lines."""
        return as_text(self._title, self._rows, self._notes)

    def _repr_html_(self) -> str:
        """Return the summary for notebooks."""
        return as_html(self._title, ("population", "kind", "shape", "lambda", "hears"), self._rows, self._notes)

    @property
    def _title(self) -> str:
        """The size of the network."""
        neurons = sum(population.size for population in self.populations)
        images = ", ".join(f"{name} {shape}" for name, shape in self.inputs) or f"images {self.input_shape}"
        return f"Network of {len(self.populations)} populations and {neurons:,} neurons for {images}"

    @property
    def _rows(self) -> list[tuple[str, ...]]:
        """A row per population."""
        rows: list[tuple[str, ...]] = []
        for p in self.populations:
            scale = f"{p.scale:.4g}" if isinstance(p.scale, float) else f"{p.scale.min():.4g} to {p.scale.max():.4g}"
            sources = ("the image" if q.source is INPUT else q.source for q in self.into(p.name))
            rows.append((p.name, p.kind, str(p.shape), scale, ", ".join(dict.fromkeys(sources))))
        return rows

    @property
    def _notes(self) -> list[str]:
        """What it was made with, and what its output means."""
        grid = f"2**{math.frexp(self.grid)[1] - 1}" if self.grid else "none"
        percentile = f"percentile {self.percentile:g} by {self.normalisation}, " if self.percentile else ""
        outputs = ", ".join(f"{name} before {kind}" for name, kind in self.heads)
        return [f"{percentile}grid {grid}, {outputs or f'output before {self.output_activation}'}"]

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

    @property
    def outputs(self) -> tuple[Population, ...]:
        """All populations that read out the model, the last one or its heads."""
        return self.populations[len(self.populations) - max(1, len(self.heads)) :]

    def save(self, path: str | Path) -> None:
        """Write the network to an ``.npz`` file; `brian_snn.load_network` reads it back, without TensorFlow.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        write(self._encoded(), Path(path))

    def digest(self) -> str:
        """Return a hash of everything in the network but its provenance."""
        return digest(self._encoded())

    def _encoded(self) -> Arrays:
        """Return the network as the arrays of its file."""
        names = ("output_activation", "calibration_range", "input_shape", "percentile", "normalisation", "grid")
        # Only where there are some: the files and hashes of all others stay what they were.
        several = tuple(name for name in ("inputs", "heads", "simulation") if getattr(self, name))
        fields = {name: getattr(self, name) for name in (*names, *several, "provenance")}
        return encode(self.populations, self.projections, fields)

    def into(self, name: str) -> tuple[Projection, ...]:
        """Return the projections onto a population, those from the image among them."""
        return tuple(p for p in self.projections if p.target == name)

    def out_of(self, name: str | None) -> tuple[Projection, ...]:
        """Return the projections that leave a population, or the image."""
        return tuple(p for p in self.projections if p.source == name)


# Numbers that are looked at together: a network's are checked in each of its stages, in pieces that a cache holds.
_CHUNK = 2**15


def check_network(network: Network) -> None:
    """Check what its populations and projections are to each other: names, order, kinds, sizes, depths and the grid.

    Raises
    ------
    ModelError
        At the first thing that no conversion makes; the message names population or projection.
    """
    if not network.populations:
        raise ModelError("there are no populations")
    sizes: dict[str | None, int] = {None: math.prod(network.input_shape)}
    depths: dict[str | None, int] = {None: 0}
    into: dict[str, list[Projection]] = {}
    for projection in network.projections:
        into.setdefault(projection.target, []).append(projection)
    for population in network.populations:
        if population.name in sizes:
            raise ModelError(f"there are two populations {population.name!r}")
        _check_grid(population.bias, network.grid, f"{population.label}, bias")
        arriving = into.pop(population.name, [])
        for projection in arriving:
            if projection.source not in sizes:
                raise ModelError(f"{projection.label}: its source is no population before it")
            _check_ends(projection, population, sizes[projection.source])
            if projection.weights is not None:
                _check_grid(projection.weights, network.grid, f"{projection.label}, weights")
        _check_place(population, arriving, network)
        _check_depth(population, arriving, depths)
        sizes[population.name] = population.size
    if into:
        raise ModelError(f"projections lead to {shown(sorted(into))}, which are no populations")
    if sum(sizes.values()) > MOST_ELEMENTS:
        raise ModelError("pixels and neurons together are more than 2**31")


def _check_grid(values: NDArray[np.float64], grid: float, where: str) -> None:
    if not grid:
        return
    # Exact: a division by a power of two changes the exponent only, and what overflows is a multiple of any grid.
    flat = values.reshape(-1)
    for start in range(0, len(flat), _CHUNK):
        with np.errstate(over="ignore"):
            multiples = flat[start : start + _CHUNK] / grid
        if not np.array_equal(multiples, np.rint(multiples)):
            raise ModelError(f"{where}: some are no multiples of the grid {grid:g}")


def _check_ends(projection: Projection, target: Population, n_source: int) -> None:
    """Raise unless a projection fits its source and its target."""
    geometry, where = projection.geometry, projection.label
    if (geometry.kind == "max_pool") != (target.kind == "max_pool"):
        raise ModelError(f"{where}: a {geometry.kind} map leads to a population of kind {target.kind}")
    if geometry.kind == "max_pool" and projection.source is None:
        raise ModelError(f"{where}: a maximum is taken of spikes, and the image has none")
    for index, n, n_neurons, name in (
        (projection.source_index, geometry.n_in, n_source, "source_index"),
        (projection.target_index, geometry.n_out, target.size, "target_index"),
    ):
        if index is None and n > n_neurons:
            raise ModelError(f"{where}, {name}: it is missing, and the map has {n} elements for {n_neurons} neurons")
        if index is not None and index.max(initial=0) >= n_neurons:
            raise ModelError(f"{where}, {name}: {n} neurons from 0 to {n_neurons - 1} were expected")


def _check_place(population: Population, arriving: Sequence[Projection], network: Network) -> None:
    """Raise unless a population may stand where it is: a readout at the end, and others where they have inputs."""
    if population.kind == "readout" and population not in network.outputs:
        raise ModelError(f"{population.label}: it is a readout, which sends no spikes, and not an output")
    if population.kind == "max_pool" and not arriving:
        raise ModelError(f"{population.label}: no projection leads to it; a maximum is taken of some spikes")
    if population.kind == "poisson" and not (len(arriving) == 1 and _is_image(arriving[0], population, network)):
        raise ModelError(f"{population.label}: a population of kind poisson has the image as its only input, as it is")


def _is_image(projection: Projection, target: Population, network: Network) -> bool:
    """Whether a projection gives each pixel of the image to one neuron."""
    plain = projection.source_index is None and projection.target_index is None
    is_identity = projection.geometry.kind == "identity" and target.shape == network.input_shape
    return projection.source is None and plain and is_identity and projection.geometry.n_in == target.size


def _check_depth(population: Population, arriving: Sequence[Projection], depths: dict[str | None, int]) -> None:
    """Raise unless the depth, which the clamp goes by, is that of the longest path; add it to the depths."""
    below = max((depths[projection.source] for projection in arriving), default=0)
    depths[population.name] = below + (population.kind not in ("max_pool", "poisson"))
    if population.depth != depths[population.name]:
        raise ModelError(
            f"{population.label}: its depth is {population.depth!r}, its longest path has "
            f"{depths[population.name]} populations with a membrane"
        )
