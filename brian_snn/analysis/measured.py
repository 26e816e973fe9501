"""Rates and targets of a simulation, a batch of images at a time: what the account of the error is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import DataError
from brian_snn.network.parameters import input_currents, scaled_parameters
from brian_snn.network.records import INPUT
from brian_snn.network.roles import crosses_threshold
from brian_snn.neurons.record import Neuron
from brian_snn.neurons.table import neuron_of
from brian_snn.results.result import Result

Activations = Mapping[str, NDArray[np.generic]]

#: Those of a part of a result, for a result that is larger than memory.
ActivationsOf = Callable[[Result], Activations]


#: From (n, size of the source) to (n, size of the target); n is a multiple of the number of images.
Carrier = Callable[[FloatArray], FloatArray]


class Measured:
    """Rates and targets of a simulation, a batch of images at a time, (n_images, size) in units of r_max."""

    def __init__(self, result: Result, activations: Activations) -> None:
        """Check that the activations fit; those of some populations may be missing until they are asked for."""
        self.result, self.parameters = result, scaled_parameters(result.network, result.settings)
        self._activations = activations
        unknown = set(activations) - {p.name for p in result.network.populations}
        if unknown:
            raise DataError(f"activations of {sorted(unknown)} were given; the network has no such populations.")

    @property
    def given(self) -> list[str]:
        """The populations whose activations are there, in the order of the network."""
        return [p.name for p in self.result.network.populations if p.name in self._activations]

    def target(self, name: str, batch: slice) -> FloatArray:
        """Return a, activation over lambda."""
        population = self.result.network[name]
        if population.codes_pixels:
            return np.asarray(self.result.images[batch], np.float64).reshape(-1, population.size)
        if name not in self._activations:
            raise DataError(f"population {name!r}: its activations are needed and were not given.")
        expected = (len(self.result.images), *population.shape)
        given = np.shape(self._activations[name])
        if given != expected:
            raise DataError(f"population {name!r}: activations have shape {given}; {expected} was expected.")
        values = np.asarray(self._activations[name][batch], np.float64)
        return (values / population.scale).reshape(-1, population.size)

    def rate(self, name: str, batch: slice) -> FloatArray:
        """Return N / T', or the mean charge of a readout that does not spike; 0 for a population never released."""
        n_steps = self.result.window_steps(name)
        if not n_steps:
            return np.zeros(self.flat("spike_counts", name, batch).shape)
        if self.integrates_only(name):
            own = self.parameters.of(name)
            return (self.flat("potentials", name, batch) - own.v_init) / (own.threshold * n_steps)
        return self.flat("spike_counts", name, batch) / n_steps

    def error(self, name: str, batch: slice) -> FloatArray:
        """Return rate minus target."""
        return self.rate(name, batch) - self.target(name, batch)

    def integrates_only(self, name: str) -> bool:
        """Whether a population is a readout that does not spike."""
        return not crosses_threshold(self.result.network[name], self.result.settings)

    def neuron(self, name: str) -> Neuron:
        """Return the record of a population's neuron."""
        return neuron_of(self.result.network, self.result.network[name], self.result.settings)

    def arrived(self, name: str, batch: slice) -> FloatArray:
        """Return q, the charge that arrived, with what a neuron did not integrate of it."""
        kept_away = [self.flat(book.name, name, batch) for book in self.neuron(name).books if not book.in_balance]
        return sum(kept_away, start=self.flat("charge", name, batch))

    def flat(self, field: str, name: str, batch: slice) -> FloatArray:
        """Return an array of the result for a batch of images, as float64."""
        values = np.asarray(self.result.by_population(field)[name][batch], np.float64)
        return values.reshape(len(values), -1)

    def counts_in_window(self, source: str, target: str, batch: slice) -> FloatArray:
        """Return the spikes of a source in a target's window."""
        values = np.asarray(self.result.counts_in_window(source, target)[batch], np.float64)
        return values.reshape(len(values), -1)

    def current(self, name: str, batch: slice) -> FloatArray:
        """Return c, the charge per step of image and bias, (n_images or 1, size); of frames its mean."""
        if any(p.source == INPUT for p in self.result.network.into(name)):
            images = np.asarray(self.result.images[batch])
            if self.result.settings.input_coding == "frames":
                images = images[:, self.result.window_start(name) :]
            currents = input_currents(self.parameters, images.reshape(-1, *self.result.network.input_shape))[name]
            return currents.reshape(len(images), -1, self.result.network[name].size).mean(axis=1)
        return self.parameters.network[name].bias.reshape(1, -1)


def measured_parts(result: Result, activations: Activations | ActivationsOf) -> Iterator[Measured]:
    """Yield a result with its activations, or its parts one by one with those that a function returns for each."""
    if not callable(activations):
        yield Measured(result, activations)
        return
    for part in result.parts():
        yield Measured(part, activations(part))
