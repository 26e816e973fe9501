"""Count what the trained network computes and what the spiking one sends, in either of two ways.

``synapses``, ours: an operation is one synapse used once. The trained network uses every synapse of every weighted
projection once per image (a multiply-add; for average pooling an addition), but not those of max pooling, which only
compare. Taps of a kernel that fall on padding are no synapses and cost nothing on either side, and neither do biases
and updates of neurons. The spiking network uses a synapse whenever its source spikes (an addition; into max pooling a
comparison, and counted too), and those of the first layer once per image, since its current is constant. A burst of s
spikes uses it s times, and a negative spike once.

``paper``, that of Rueckauer et al. 2017: of the trained network the sum of (2 f_in + 1) n over the layers with weights,
n neurons of fan-in f_in, a multiply-add being two operations and the bias a third. Pooling and shortcuts are not
counted. f_in is that of a neuron far from any border, so taps on the padding do count; it is the kernel times the input
channels of the neuron's group, of a depthwise convolution the kernel alone. Of the spiking network it is the fan-out of
every spike (`Result.synaptic_events`), and nothing for the first layer's current. The formula is the function
`get_ann_ops` of SNN toolbox (``2 * dot(neurons, fan_in) + sum(neurons_with_bias)``, public on GitHub); the fan-out is
here that of each neuron, which has fewer targets at a border.

Either way what is counted is the network as it was converted: batch norms and padding are folded and cost nothing.
"""

from __future__ import annotations

from math import prod
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.errors import DataError, SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Projection
from brian_snn.network.roles import crosses_threshold
from brian_snn.network.synapses import n_synapses, total_fan_out
from brian_snn.results.result import Result, events_of

Count = Literal["synapses", "paper"]

#: What tables and figures call the operations of a count.
COUNT_NAMES: dict[Count, str] = {"synapses": "synapses used", "paper": "operations as the paper counts"}

#: The columns of tables in which they stand.
COUNT_COLUMNS: dict[Count, str] = {"synapses": "operations", "paper": "paper_operations"}


def ann_operations(network: Network, count: Count = "synapses") -> int:
    """Return the number of operations with which the trained network computes one image.

    Parameters
    ----------
    network : Network
        The converted network. Where linear layers were folded into one, that one is counted; one that several layers
        read has gone into each, as in DenseNet, and counts for each.
    count : str
        ``synapses`` (multiply-adds, a multiply-add being one) or ``paper``.

    Raises
    ------
    SettingError
        If there is no such count.
    """
    _check_count(count)
    computed = [p for p in network.projections if not network[p.target].codes_pixels]
    if count == "synapses":
        return sum(n_synapses(network, p) for p in computed if p.geometry.kind != "max_pool")
    weighted = [p for p in computed if p.geometry.kind in ("dense", "conv2d", "depthwise")]
    biases = sum(network[name].size for name in {p.target for p in weighted})
    return sum(2 * _fan_in(p) * p.geometry.n_out for p in weighted) + biases


def _fan_in(projection: Projection) -> int:
    """Return the taps of a kernel, or the rows of a matrix, that one neuron has."""
    shape = projection.geometry.weights_shape
    assert shape is not None, "a layer with weights"
    return prod(shape[:2]) if projection.geometry.kind == "depthwise" else prod(shape[:-1])


def snn_operations(result: Result, count: Count = "synapses") -> NDArray[np.int64]:
    """Return the operations of the spiking network: the events of all synapses, for ours with the first layer's once.

    Parameters
    ----------
    result : Result
        A simulation; all its steps count.
    count : str
        ``synapses`` or ``paper``.

    Returns
    -------
    operations : (n_images,) int array

    Raises
    ------
    SettingError
        If there is no such count.
    """
    return _input_operations(result.network, count) + result.synaptic_events


def saturated_share(result: Result) -> float:
    """Return the share of neurons, over all images, that spike in every step of their window: they cannot say more.

    With bursts, as often as they can in every step.

    A readout that only integrates, and pixels that are coded as spikes, are left out.
    """
    saturated = total = 0
    for part in result.parts():
        for population in result.network.populations:
            n_steps = result.window_steps(population.name)
            if not population.codes_pixels and crosses_threshold(population, result.settings):
                counts = part.spike_counts[population.name]
                most = n_steps * result.settings.burst
                saturated += int(np.count_nonzero(counts == most)) if n_steps else 0
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
        spikes = sum(int(part.sent_counts(population.name).sum()) for part in result.parts())
        per_neuron = spikes / (len(result.images) * population.size)
        window_s = result.window_steps(population.name) * float(result.settings.dt)
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


def operations_over_time(result: Result, count: Count = "synapses", estimate: bool = False) -> NDArray[np.int64]:
    """Return the operations of the spiking network up to each checkpoint.

    Exact for a population whose neurons have the same fan-out, and for any whose spike counts were recorded at the
    checkpoints (``record_counts``).

    Parameters
    ----------
    result : Result
        A simulation with checkpoints.
    count : str
        ``synapses`` or ``paper``.
    estimate : bool
        Whether a spike of any other population is taken to reach as many synapses as in the mean over the whole run of
        the image, which is exact at its end, instead of an error.

    Returns
    -------
    operations : (n_checkpoints, n_images) int array
        `snn_operations` of a run that ended at the checkpoint.

    Raises
    ------
    DataError
        If a population's counts were needed, not recorded and not to be estimated; the message names it. Or if it sends
        negative spikes, since counts at the checkpoints are net and do not say how many.
    SettingError
        If there is no such count.
    """
    shape = (len(result.checkpoints), len(result.images))
    operations = np.full(shape, _input_operations(result.network, count), np.int64)
    for population in result.network.populations:
        fan = total_fan_out(result.network, population.name)
        if not fan.any():
            continue
        if population.name in result.negative_counts:
            raise DataError(
                f"population {population.name!r}: its spike counts at the checkpoints are net of negative spikes, so "
                "operations are known at the end only; take polarity='positive' to have them over time."
            )
        if population.name in result.count_history:
            operations += result.count_history[population.name].reshape(*shape, -1) @ fan
        elif np.all(fan == fan[0]) and population.name in result.total_counts:
            operations += result.total_counts[population.name] * fan[0]
        elif estimate and population.name in result.total_counts:
            spikes = result.spike_counts[population.name].reshape(len(result.images), -1).sum(1, dtype=np.int64)
            mean = events_of(result, population.name) / np.maximum(spikes, 1)
            operations += np.rint(result.total_counts[population.name] * mean).astype(np.int64)
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


def _check_count(count: str) -> None:
    if count not in get_args(Count):
        raise SettingError(f"count is {count!r}; it must be one of {', '.join(get_args(Count))}.")


def _input_operations(network: Network, count: Count) -> int:
    """Return the multiply-adds that turn an image into the first layer's current, where they count.

    The paper counts none; and there are none where the image comes as spikes.
    """
    _check_count(count)
    if count == "paper":
        return 0
    return sum(n_synapses(network, p) for p in network.out_of(INPUT) if not network[p.target].codes_pixels)
