"""Count what the trained network computes and what the spiking one sends.

Convention: an operation is one synapse used once. The trained network uses every synapse of every weighted projection
once per image (a multiply-add; for average pooling an addition), but not those of max pooling, which only compare. Taps
of a kernel that fall on padding are no synapses and cost nothing on either side, and neither do biases and updates of
neurons. The spiking network uses a synapse whenever its source spikes (an addition; into max pooling a comparison, and
counted too), and those of the first layer once per image, since its current is constant.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.conversion.graph import INPUT, Network
from brian_snn.conversion.linear_maps import n_synapses, total_fan_out
from brian_snn.errors import DataError
from brian_snn.simulation.result import Result, events_of
from brian_snn.simulation.topology import crosses_threshold


def ann_operations(network: Network) -> int:
    """Return the number of multiply-adds with which the trained network computes one image.

    Parameters
    ----------
    network : Network
        The converted network; folded batch norm and padding cost nothing. Where linear layers were folded into one, its
        multiply-adds are counted; one that several layers read has gone into each, as in DenseNet, and counts for each.
    """
    return sum(
        n_synapses(network, p)
        for p in network.projections
        if p.geometry.kind != "max_pool" and network[p.target].kind != "poisson"
    )


def snn_operations(result: Result) -> NDArray[np.int64]:
    """Return the operations of the spiking network: the events of all synapses, plus the first layer's once.

    Parameters
    ----------
    result : Result
        A simulation; all its steps count.

    Returns
    -------
    operations : (n_images,) int array
    """
    return _input_operations(result.network) + result.synaptic_events


def saturated_share(result: Result) -> float:
    """Return the share of neurons, over all images, that spike in every step of their window: they cannot say more.

    A readout that only integrates, and pixels that are coded as spikes, are left out.
    """
    saturated = total = 0
    for part in result.parts():
        for population in result.network.populations:
            n_steps = result.window_steps(population.name)
            if population.kind != "poisson" and crosses_threshold(population, result.settings):
                counts = part.spike_counts[population.name]
                saturated += int(np.count_nonzero(counts == n_steps)) if n_steps else 0
                total += counts.size
    return saturated / total if total else 0.0


def operations_by_population(result: Result) -> pd.DataFrame:
    """Return who sends how much, averaged over the images.

    Returns
    -------
    table : DataFrame
        One row per population: ``population``, ``neurons``, ``synapses`` (incoming, those from the image among them),
        ``spikes_per_neuron`` (per image), ``mean_rate_hz`` and ``events_per_image`` (its spikes times their fan-out).
    """
    rows = []
    for population in result.network.populations:
        spikes = sum(int(part.spike_counts[population.name].sum()) for part in result.parts())
        per_neuron = spikes / (len(result.images) * population.size)
        window_s = result.window_steps(population.name) * result.settings.dt_s
        rows.append(
            {
                "population": population.name,
                "neurons": population.size,
                "synapses": sum(n_synapses(result.network, p) for p in result.network.into(population.name)),
                "spikes_per_neuron": per_neuron,
                "mean_rate_hz": per_neuron / window_s if window_s else 0.0,
                "events_per_image": float(np.mean(events_of(result, population.name))),
            }
        )
    return pd.DataFrame(rows)


def operations_over_time(result: Result) -> NDArray[np.int64]:
    """Return the operations of the spiking network up to each checkpoint.

    Exact: a population whose neurons have different fan-outs must have its spike counts recorded at the checkpoints
    (``record_counts``); for any other the total is enough.

    Parameters
    ----------
    result : Result
        A simulation with checkpoints.

    Returns
    -------
    operations : (n_checkpoints, n_images) int array
        `snn_operations` of a run that ended at the checkpoint.

    Raises
    ------
    DataError
        If a population's counts were needed and not recorded; the message names it.
    """
    shape = (len(result.checkpoints), len(result.images))
    operations = np.full(shape, _input_operations(result.network), np.int64)
    for population in result.network.populations:
        fan = total_fan_out(result.network, population.name)
        if not fan.any():
            continue
        if population.name in result.count_history:
            operations += result.count_history[population.name].reshape(*shape, -1) @ fan
        elif np.all(fan == fan[0]) and population.name in result.total_counts:
            operations += result.total_counts[population.name] * fan[0]
        else:
            raise DataError(
                f"population {population.name!r}: its spike counts at the checkpoints are needed, since its neurons "
                "differ in fan-out; simulate with checkpoints and its name in record_counts."
            )
    return operations


def uneven_fan_out(network: Network) -> tuple[str, ...]:
    """Return the populations whose counts `operations_over_time` needs: those whose neurons differ in fan-out."""
    fans = ((population.name, total_fan_out(network, population.name)) for population in network.populations)
    return tuple(name for name, fan in fans if np.any(fan != fan[0]))


def _input_operations(network: Network) -> int:
    """Return the multiply-adds that turn an image into the first layer's current; none where it comes as spikes."""
    return sum(n_synapses(network, p) for p in network.out_of(INPUT) if network[p.target].kind != "poisson")
