"""q, the charge that a neuron took in: of a plain neuron worked out when it is asked for, and not before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from brian_snn.arrays import FloatArray, IntArray
from brian_snn.network.network import Network
from brian_snn.network.parameters import Parameters
from brian_snn.neurons.table import neuron_of
from brian_snn.settings import Settings


@dataclass(frozen=True)
class Balance:
    """What has been through the membrane of a population: N V_thr + V(T) - V(0) and what its books took from it.

    Parameters
    ----------
    price : float
        What a spike takes from V: V_thr, or 0 where spikes take nothing.
    v_init : float
        V(0).
    books : tuple of str
        Of `Result.booked`.
    """

    price: float
    v_init: float
    books: tuple[str, ...]


def balances(network: Network, settings: Settings, parameters: Parameters) -> dict[str, Balance]:
    """Return the balances of the populations that do not sum what arrives step by step."""
    found = {}
    for population in network.populations:
        name, neuron = population.name, neuron_of(network, population, settings)
        if "charge" in neuron.model.outputs or "v" not in neuron.model.outputs:
            continue
        price = parameters.of(name).threshold if neuron.fires else 0.0
        books = tuple(book.name for book in neuron.books if book.in_balance)
        found[name] = Balance(price, parameters.of(name).v_init, books)
    return found


class Charges(Mapping[str, FloatArray]):
    """q by population.

    Parameters
    ----------
    balances : dict of Balance
        By population, of those whose charge is not summed.
    spike_counts, potentials, booked
        As in `brian_snn.Result`, of all populations.
    summed : dict of (n_images, *shape) float array
        What was summed in the run.
    """

    def __init__(
        self,
        balances: Mapping[str, Balance],
        spike_counts: Mapping[str, IntArray],
        potentials: Mapping[str, FloatArray],
        booked: Mapping[str, Mapping[str, FloatArray]],
        summed: Mapping[str, FloatArray],
    ) -> None:
        self.balances, self.summed = balances, summed
        self._known: dict[str, FloatArray] = {}
        self._counts, self._potentials, self._booked = spike_counts, potentials, booked

    def __getitem__(self, name: str) -> FloatArray:
        """Return q of a population, zeros of one without a membrane; it is kept once it was asked for."""
        if name in self.summed:
            return self.summed[name]
        if name not in self._known:
            self._known[name] = self._worked_out(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the populations in the order of the network."""
        return iter(self._counts)

    def __len__(self) -> int:
        """Return the number of populations."""
        return len(self._counts)

    def _worked_out(self, name: str) -> FloatArray:
        if name not in self._counts:
            raise KeyError(f"there is no {name!r}; there are {', '.join(map(repr, self._counts))}")
        counts = self._counts[name]
        if name not in self.balances:
            return np.zeros(counts.shape)
        balance = self.balances[name]
        q = self._potentials[name] - balance.v_init
        if balance.price:
            q += counts * balance.price
        for book in balance.books:
            q += self._booked[book][name]
        return q
