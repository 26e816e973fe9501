"""An estimate of energy: operations that are counted, times constants that are stated.

What is counted is exact: multiply-adds of the trained network; spikes times fan-out of the spiking one, an addition
each (into max pooling a comparison); updates of its neurons, one for each with a membrane and each step in which it is
not clamped; and the memory that both read and write. What one of these costs is not known here. The constants are those
of Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, for 45 nm at 0.9 V: an addition of
integers takes 0.03 pJ with 8 bits and 0.1 pJ with 32, a multiplication 0.2 and 3.1 pJ; in float32 they take 0.9 and
3.7 pJ. 64 bits cost 10 pJ from a memory of 8 KB, 100 pJ from one of 1 MB, 1,300 to 2,600 pJ from DRAM. Clocks, leakage,
the way of a spike across a chip, and instructions of a processor are left out. So the result is an estimate from
constants, for comparing one network with another, and no measurement.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brian_snn.analysis.operations import ann_operations, snn_operations
from brian_snn.checks import real_number
from brian_snn.errors import SettingError
from brian_snn.results.result import Result


@dataclass(frozen=True)
class EnergyModel:
    """What an operation costs, in pJ, and how wide the numbers are. Replace what your chip does otherwise.

    Parameters
    ----------
    multiply_add : float
        By default one of 8 bits into 32: 0.2 + 0.1 pJ. One of float32 is 3.7 + 0.9.
    addition : float
        Of a weight to a potential: 32 bits.
    update : float
        Of a neuron: its constant current is added, and the threshold compared; two additions.
    access_per_bit : float
        Of memory that is read or written: 10 pJ for 64 bits, from 8 KB. It is taken for all there is, of whatever size.
    activation_bits : float
        Of an activation of the trained network, which is read for a multiply-add and written once per neuron.
    weight_bits : float
        Of a weight, read for a multiply-add and for every spike that crosses its synapse.
    potential_bits : float
        Of V, read and written for every addition and for every update. 0 for potentials that stay in registers.

    Raises
    ------
    SettingError
        If one is no finite number, or negative; names it.
    """

    multiply_add: float = 0.3
    addition: float = 0.1
    update: float = 0.2
    access_per_bit: float = 10 / 64
    activation_bits: float = 8
    weight_bits: float = 8
    potential_bits: float = 32

    def __post_init__(self) -> None:
        """Check every number."""
        for field in dataclasses.fields(self):
            value = real_number(field.name, getattr(self, field.name))
            if not (math.isfinite(value) and value >= 0):
                raise SettingError(f"{field.name} is {value!r}; it must be a finite number, 0 or more.")
            object.__setattr__(self, field.name, value)


def energy(result: Result, model: EnergyModel | None = None) -> pd.DataFrame:
    """Estimate what an image costs the trained network and the spiking one: see the head of this module.

    Parameters
    ----------
    result : Result
        A simulation; all its steps count.
    model : EnergyModel, optional

    Returns
    -------
    table : DataFrame
        Two rows, ``trained`` and ``spiking`` (``network``), means per image: ``multiply_adds`` (of the spiking network
        those that turn the image into a current, once), ``additions``, ``updates``, ``accessed_bits`` of memory, and in
        nJ ``operations_nj``, ``memory_nj`` and ``total_nj``.
    """
    costs = model or EnergyModel()
    network = result.network
    read = costs.weight_bits + costs.activation_bits
    neurons = sum(p.size for p in network.populations if not p.codes_pixels)
    multiply_adds = ann_operations(network)
    trained = {"multiply_adds": multiply_adds, "additions": 0.0, "updates": 0.0}
    trained["accessed_bits"] = multiply_adds * read + neurons * costs.activation_bits
    events = float(np.mean(result.synaptic_events))
    from_image = round(float(np.mean(snn_operations(result) - result.synaptic_events)))
    updates = _updates(result)
    spiking = {"multiply_adds": from_image, "additions": events, "updates": updates}
    spiking["accessed_bits"] = (
        from_image * read + events * (costs.weight_bits + 2 * costs.potential_bits) + 2 * updates * costs.potential_bits
    )
    table = pd.DataFrame([{"network": "trained"} | trained, {"network": "spiking"} | spiking])
    picojoules = table["multiply_adds"] * costs.multiply_add + table["additions"] * costs.addition
    table["operations_nj"] = (picojoules + table["updates"] * costs.update) / 1e3
    table["memory_nj"] = table["accessed_bits"] * costs.access_per_bit / 1e3
    table["total_nj"] = table["operations_nj"] + table["memory_nj"]
    return table


def _updates(result: Result) -> int:
    """Return how often a neuron with a membrane is updated in an image."""
    membranes = (p for p in result.network.populations if p.kind in ("spiking", "readout"))
    return sum(p.size * result.window_steps(p.name) for p in membranes)
