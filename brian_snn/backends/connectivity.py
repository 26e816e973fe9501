"""Explicit synapses: which neuron reaches which, and the weight of each synapse.

The enumeration itself is `brian_snn.network.synapses.synapses`, pure NumPy; here it meets Brian2. A synapse's
number is its place in the enumeration, so weights can be replaced at run time without touching the connectivity.
"""

from __future__ import annotations

from typing import Any

from brian2 import Synapses
from numpy.typing import NDArray

from brian_snn.network.synapses import synapses as enumerate_synapses
from brian_snn.simulation.topology import Link


def connect(synapses: Synapses, link: Link, n_source: int) -> None:
    """Create the synapses of a link."""
    pre, post, _ = enumerate_synapses(link, n_source)
    # Brian2 has no arrays of length zero; a link without synapses carries nothing in any case.
    if len(pre):
        synapses.connect(i=pre, j=post)
    else:
        synapses.active = False


def synaptic_weights(link: Link, weights: NDArray[Any], n_source: int) -> NDArray[Any]:
    """Return the weight of each synapse, in the order of `connect`."""
    _, _, weight_index = enumerate_synapses(link, n_source)
    return weights.ravel()[weight_index]
