"""Scale a folded network so that activations become firing rates, and round it to a grid.

The scale lambda of a population is the activation that corresponds to one spike per step. It is a percentile of the
positive activations over calibration images (Rueckauer et al. 2017, section 2.2.1): a little below the maximum, so that
a few outliers saturate and all other rates are higher. Weights become ``W lambda_source / lambda`` and biases
``b / lambda``, which leaves every activation as it was, in units of lambda.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.conversion.affine import scale_outputs
from brian_snn.conversion.projecting import scale_inputs
from brian_snn.conversion_settings import Conversion
from brian_snn.errors import DataError, ModelError, SettingError
from brian_snn.network.forward import checked_images, iterate_forward
from brian_snn.network.grid import on_grid
from brian_snn.network.network import Network
from brian_snn.network.parameters import largest_drive
from brian_snn.network.records import INPUT, Population, Projection
from brian_snn.network.synapses import synapses
from brian_snn.progress import Progress

Scale = float | FloatArray


def normalise(
    network: Network,
    images: NDArray[np.generic],
    percentile: float = 99.9,
    normalisation: str = "layer",
    progress: Progress | None = None,
) -> Network:
    """Scale every population by a percentile of its positive activations.

    Parameters
    ----------
    network : Network
        Folded, with scales of 1.
    images : (n_images, *input_shape) array
        Calibration images.
    percentile : float
        Above 0, at most 100; interpolated linearly.
    normalisation : str
        ``layer``: one scale per population; ``channel``: one per channel (the last axis), where a channel that is never
        active gets that of the layer. A population that is never active has a scale of 1.
    progress : callable, optional
        Called with (done, total) populations.

    Returns
    -------
    network : Network
        The same network in other units; readouts keep a scale of 1, max pooling takes that of its sources. It notes the
        range of the images.

    Raises
    ------
    SettingError
        If the percentile or the normalisation is none.
    DataError
        If there are no images, or of the wrong kind or shape, or if they drive an activation past what float64 holds.
    ModelError
        If a max pooling window or a kernel meets neurons of different scales, or weights overflow when they are scaled.
    """
    return calibrate(network, images, [(percentile, normalisation)], progress).normalised(percentile, normalisation)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What calibration images say of a folded network: its scales by percentile and normalisation.

    Parameters
    ----------
    network : Network
        Folded, with scales of 1.
    scales : dict of (percentile, normalisation) to dict
        The scale of every spiking population.
    pixel_range : (float, float)
        Of the images.
    """

    network: Network
    scales: Mapping[tuple[float, str], Mapping[str, Scale]]
    pixel_range: tuple[float, float]

    def normalised(self, percentile: float, normalisation: str) -> Network:
        """Return the network that `normalise` returns, for a percentile and a normalisation that were measured."""
        scales: dict[str, Scale] = dict(self.scales[float(percentile), normalisation])
        for population in self.network.populations:
            if population.kind == "max_pool":
                scales[population.name] = inherited_scale(self.network, population, scales)
            scales.setdefault(population.name, 1.0)
        normalised = replace(
            rescaled(self.network, scales),
            percentile=float(percentile),
            normalisation=normalisation,
            calibration_range=self.pixel_range,
        )
        require_finite(normalised, "when divided by the scale of its activations on the calibration images")
        return normalised


def calibrate(
    network: Network,
    images: NDArray[np.generic],
    ways: Sequence[tuple[float, str]],
    progress: Progress | None = None,
) -> Calibration:
    """Measure the scales of every population for several percentiles and normalisations, in one pass over the images.

    Parameters and errors are those of `normalise`; `ways` are pairs of a percentile and a normalisation.
    """
    for percentile, normalisation in ways:
        Conversion(percentile, normalisation)  # type: ignore[arg-type]
    if network.normalisation != "none":
        raise SettingError(f"the network is normalised already (normalisation {network.normalisation!r}); fold again.")
    pixels = checked_images(network, images, "calibration images")
    if not len(pixels):
        raise DataError("there are no calibration images; at least one is needed to scale the layers.")
    scales: dict[tuple[float, str], dict[str, Scale]] = {(float(p), normalisation): {} for p, normalisation in ways}
    for done, (population, activations) in enumerate(iterate_forward(network, pixels), 1):
        if not np.isfinite(activations).all():
            raise DataError(
                f"calibration images, with pixels of up to {np.abs(pixels).max():.3g}: the activations of population "
                f"{population.name!r} are more than float64 holds; check the images and the weights of the model."
            )
        if population.kind == "spiking":
            for (percentile, normalisation), of_populations in scales.items():
                scale = _scale(population, activations, percentile, normalisation == "channel")
                of_populations[population.name] = scale
        if progress:
            progress(done, len(network.populations))
    return Calibration(network, scales, (float(pixels.min()), float(pixels.max())))


def rescaled(network: Network, scales: Mapping[str, Scale]) -> Network:
    """Return a network with scales that are these times those that it has: W lambda_source / lambda, b / lambda.

    Those of a max pooling must be what its sources share.
    """
    with np.errstate(all="ignore"):
        populations = tuple(
            replace(p, scale=np.asarray(p.scale) * scales[p.name], bias=p.bias / np.asarray(scales[p.name]))
            for p in network.populations
        )
        projections = tuple(_rescaled(network, projection, scales) for projection in network.projections)
    return replace(network, populations=populations, projections=projections)


def require_finite(network: Network, when: str) -> None:
    """Raise a `ModelError` that names the population if a weight or bias is more than float64 holds."""
    arrays = [(p.name, p.bias) for p in network.populations]
    arrays += [(p.target, p.weights) for p in network.projections if p.weights is not None]
    for name, values in arrays:
        if not np.isfinite(values).all():
            raise ModelError(
                f"population {name!r}: its weights or biases are more than float64 holds {when}; check the weights of "
                "the model."
            )


def _percentile_of_positive(activations: FloatArray, percentile: float) -> float:
    """Return the percentile of the positive activations, 0 if there are none."""
    positive = activations[activations > 0]
    return float(np.percentile(positive, percentile)) if len(positive) else 0.0


def _scale(population: Population, activations: FloatArray, percentile: float, per_channel: bool) -> Scale:
    """Return lambda, limited by the ceiling: saturation is then the ceiling; where there are levels it is trained."""
    if population.levels is not None:
        assert population.ceiling is not None, "levels end at a ceiling"
        return population.ceiling
    of_layer = _percentile_of_positive(activations.ravel(), percentile) or 1.0
    limit = math.inf if population.ceiling is None else population.ceiling
    if not per_channel:
        return min(of_layer, limit)
    channels = activations.reshape(-1, population.shape[-1]).T
    of_channels = np.array([_percentile_of_positive(channel, percentile) or of_layer for channel in channels])
    return np.minimum(of_channels, limit)


def _per_neuron(network: Network, name: str | None, scales: Mapping[str, Scale]) -> FloatArray:
    """Return the scale of each neuron of a population, or of each pixel, flat."""
    if name == INPUT:
        return np.ones(math.prod(network.input_shape))
    population = network[name]
    return np.broadcast_to(np.asarray(scales[name]), population.shape).ravel()


def inherited_scale(network: Network, population: Population, scales: Mapping[str, Scale]) -> Scale:
    """Return the scale that the sources of a max pooling share: one number, or one per channel."""
    incoming = network.into(population.name)
    sources = [_per_neuron(network, projection.source, scales) for projection in incoming]
    highest, lowest = np.zeros(population.size), np.full(population.size, np.inf)
    for projection, source in zip(incoming, sources, strict=True):
        pre, post, _ = synapses(projection, len(source))
        np.maximum.at(highest, post, source[pre])
        np.minimum.at(lowest, post, source[pre])
    of_channel = highest.reshape(-1, population.shape[-1]).max(axis=0)
    expected = np.broadcast_to(of_channel, population.shape).ravel()
    connected = highest > 0
    if np.any(connected & ((highest != lowest) | (highest != expected))):
        by_channel = any(np.ndim(scales[projection.sender]) for projection in incoming)
        raise ModelError(
            f"max pooling {population.name!r}: neurons of different scale meet in one channel; put what brings them "
            "together, such as a concatenation of rows or columns, after the pooling"
            + (", or normalise by layer." if by_channel else ".")
        )
    # A channel that nothing reaches has no scale to take; any will do.
    of_channel[of_channel == 0] = min(source.min() for source in sources)
    return float(of_channel[0]) if np.all(of_channel == of_channel[0]) else of_channel


def _rescaled(network: Network, projection: Projection, scales: Mapping[str, Scale]) -> Projection:
    """Return a projection with weights W lambda_source / lambda_target."""
    if projection.weights is None:
        return projection
    source: Scale = 1.0 if projection.source is INPUT else scales[projection.source]
    target = scales[projection.target]
    if isinstance(source, float) and isinstance(target, float):
        return replace(projection, weights=projection.weights * (source / target))
    label, geometry = projection.label, projection.geometry
    flat = _per_neuron(network, projection.source, scales)
    index = np.arange(geometry.n_in) if projection.source_index is None else projection.source_index
    gain, real = flat[index].reshape(geometry.input_shape), (index >= 0).reshape(geometry.input_shape)
    weights = scale_inputs(geometry, projection.weights, gain, real, label)
    inverse = 1.0 / _per_neuron(network, projection.target, scales)
    inverse = inverse[slice(geometry.n_out) if projection.target_index is None else projection.target_index]
    return replace(projection, weights=scale_outputs(geometry, weights, inverse.reshape(geometry.output_shape), label))


def round_to_grid(network: Network, grid: float, weight_grid: float | None = None) -> Network:
    """Round every weight and bias to a multiple of a power of two, on which sums are exact.

    Parameters
    ----------
    network : Network
        Normalised.
    grid : float
        A power of two, at most 1, such as ``2**-24``.
    weight_grid : float, optional
        A coarser one for weights and biases; then currents alone are as fine as the grid.

    Returns
    -------
    network : Network
        With its `grid` set.

    Raises
    ------
    SettingError
        If the grid is no such number.
    ModelError
        If a weight or bias is so many grids that float64 does not hold it.
    """
    Conversion(grid=grid, weight_grid=weight_grid)
    coarse = weight_grid or grid
    populations = tuple(replace(p, bias=on_grid(p.bias, coarse)) for p in network.populations)
    projections = tuple(
        p if p.weights is None else replace(p, weights=on_grid(p.weights, coarse)) for p in network.projections
    )
    rounded = replace(network, populations=populations, projections=projections, grid=float(grid))
    require_finite(rounded, f"as multiples of the grid {grid!r}")
    return rounded


#: Bits that a bound leaves free: for a threshold and V(0) of several times 1, and inputs larger than were told.
_FREE_BITS = 3


def finest_grid(network: Network, steps: int, largest_input: float) -> float:
    """Return the finest power of two on which every sum is exact in float64 for so many steps.

    Parameters
    ----------
    network : Network
        Normalised, with a threshold of 1.
    steps : int
        Of the longest simulation.
    largest_input : float
        The largest absolute value of a pixel, or of what an input brings in a step.
    """
    drives = dict.fromkeys((population.name for population in network.populations), 1.0)
    for population in network.populations:
        drives[population.name] += steps * float(np.abs(population.bias).max(initial=0.0))
    for projection in network.projections:
        if projection.weights is not None:
            reach = largest_input if projection.source is INPUT else 1.0
            drives[projection.target] += steps * reach * largest_drive(projection, projection.weights)
    bits = math.ceil(math.log2(max(drives.values()))) if math.isfinite(max(drives.values())) else 1100
    return 2.0 ** min(0, max(bits + _FREE_BITS - 53, _FINEST))


#: Far finer than float32 weights are, and far from where float64 ends.
_FINEST = -100
