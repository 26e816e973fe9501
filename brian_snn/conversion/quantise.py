"""Weights of a few bits: signed integers times a power of two, as the synapses of a chip hold them.

Of weights w that share a power of two 2**k, and b bits, what is kept is

    n 2**k,    n = w / 2**k rounded to the nearest whole number, a tie to the even one,    -2**(b-1) <= n < 2**(b-1)

where 2**k is the smallest for which all of them fit, so that none is cut off. It is shared by a projection or by an
output channel of one; the weights to the image, of an average and of a shortcut are weights like any other, and lambda
is in them already. A bias is a multiple of the finest power of two among the weights of its neuron, or of one that is
finer by `finer_biases` bits, and as large as it needs to be. Nothing is finer than the grid. Thresholds stay what they
are: 1, which is 2**-k in units of the weights.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.conversion.normalise import require_finite
from brian_snn.conversion_settings import Conversion
from brian_snn.errors import SettingError
from brian_snn.network.grid import on_grid
from brian_snn.network.network import Network
from brian_snn.network.records import Population, Projection


def quantise(
    network: Network, weight_bits: int, scales: str = "layer", finer_biases: int = 0, grid: float | None = None
) -> Network:
    """Round the weights of a network to signed integers of so many bits, times powers of two.

    Parameters
    ----------
    network : Network
        Normalised, on a grid or not.
    weight_bits : int
        2 to 32, with the sign.
    scales : str
        ``layer``: one power of two for a projection; ``channel``: one for each output channel of it.
    finer_biases : int
        Bits by which the unit of a bias lies below that of the weights of its neuron.
    grid : float, optional
        A power of two, of which all numbers and the currents of images are multiples; that of the network by default.

    Returns
    -------
    network : Network
        Its provenance notes the bits.

    Raises
    ------
    SettingError
        If a value is outside its range, or the network has no grid and none is given.
    ModelError
        If a bias is so many units that float64 does not hold it.
    """
    fine = grid or network.grid
    if not fine:
        raise SettingError("the network is on no grid; give one, such as grid=2**-24.")
    Conversion(grid=fine, weight_bits=weight_bits, weight_scales=scales, finer_biases=finer_biases)  # type: ignore[arg-type]
    units = {id(p): _units(p, weight_bits, scales == "channel", fine) for p in network.projections}
    projections = tuple(
        p if p.weights is None else replace(p, weights=on_grid(p.weights, units[id(p)])) for p in network.projections
    )
    populations = []
    for population in network.populations:
        unit = _finest([(p, units[id(p)]) for p in network.into(population.name)], population, fine)
        unit = np.maximum(unit * 2.0**-finer_biases, fine)
        populations.append(replace(population, bias=on_grid(population.bias, unit)))
    bits = f"{weight_bits} by {scales}" + (f", biases {finer_biases} finer" if finer_biases else "")
    provenance = {**network.provenance, "weight_bits": bits}
    rounded = replace(
        network, populations=tuple(populations), projections=projections, grid=float(fine), provenance=provenance
    )
    require_finite(rounded, f"as integers of {weight_bits} bits")
    return rounded


def _units(projection: Projection, bits: int, by_channel: bool, grid: float) -> FloatArray:
    """Return the power of two of each weight of a projection, in a shape that broadcasts with them."""
    weights = projection.weights
    if weights is None or not weights.size:
        return np.array(grid)
    # The last axis is that of the output channels, but of a depthwise kernel the last two are.
    last = 2 if projection.geometry.kind == "depthwise" else 1
    axes = tuple(range(weights.ndim - last)) if by_channel else None
    lowest, highest = (extreme(axis=axes, keepdims=True) for extreme in (weights.min, weights.max))
    largest = np.maximum(np.abs(lowest), np.abs(highest))
    # largest / unit is 2**(bits - 1) or more, which only a negative one may be; two steps up, all fit.
    unit = np.ldexp(1.0, np.frexp(largest)[1] - bits)
    for _ in range(2):
        fits = (np.rint(lowest / unit) >= -(2.0 ** (bits - 1))) & (np.rint(highest / unit) < 2.0 ** (bits - 1))
        unit = np.where(fits, unit, 2 * unit)
    return np.maximum(np.where(largest > 0, unit, 1.0), grid)


def _finest(arriving: list[tuple[Projection, FloatArray]], population: Population, grid: float) -> FloatArray:
    """Return the finest power of two among the weights of each neuron, or the grid where it has none."""
    finest = np.full(population.size, np.inf)
    for projection, unit in arriving:
        geometry, index = projection.geometry, projection.target_index
        of_outputs = np.broadcast_to(unit.reshape(-1), geometry.output_shape).ravel()
        where = slice(geometry.n_out) if index is None else index
        finest[where] = np.minimum(finest[where], of_outputs)
    return np.where(np.isfinite(finest), finest, grid).reshape(population.shape)
