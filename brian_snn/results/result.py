"""What a simulation measured: counts, potentials and charges of every neuron, for every image.

`Result` is what `brian_snn.simulate` returns and `brian_snn.verify` takes. It holds the network and the images too, so
that a saved result can be verified on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from brian2 import Quantity, second
from numpy.typing import NDArray

from brian_snn.accuracy import Accuracy, accuracy
from brian_snn.arrays import FloatArray, IntArray
from brian_snn.errors import DataError
from brian_snn.events import MeanFrames
from brian_snn.network.delays import delays, different_delays
from brian_snn.network.network import Network
from brian_snn.network.output import activate, answer_of
from brian_snn.network.parameters import own_threshold, own_v_init
from brian_snn.network.records import Population
from brian_snn.network.roles import crosses_threshold, has_spikes, window_start
from brian_snn.network.synapses import total_fan_out
from brian_snn.results.arrays import ARRAYS_BY_NAME, BOOK_NAMES, ByPopulation
from brian_snn.results.exports import Exports
from brian_snn.results.folder import write_result
from brian_snn.results.heads import Head, estimate_logits, head_of
from brian_snn.results.store import Inputs
from brian_snn.settings import Settings
from brian_snn.summaries import as_html, as_text


@dataclass(frozen=True, eq=False, repr=False)
class Result(Exports):
    """Everything measured in one call of `brian_snn.simulate`.

    A population's window is the part of the run in which it was not clamped: steps ``window_start(name) + 1`` to
    ``settings.steps``. Counts, charge and what is booked are sums over it.

    Parameters
    ----------
    network : Network
        The network as converted, on its grid, for a threshold of 1.
    settings : Settings
        How it was simulated.
    images : (n_images, *input_shape) array
        As given; frames ``(n_images, steps, *input_shape)``.
    spike_counts : dict of (n_images, *shape) int array
        Spikes N of each neuron in the population's window: with bursts the sum of their sizes, with signed spikes net.
    potentials : dict of (n_images, *shape) float array
        V(T); zeros for max pooling, which has no membrane.
    charge : dict of (n_images, *shape) float array
        q = sum of z(t) over the window; zeros for max pooling. Summed step by step inside the simulation where a
        neuron leaks or rests, and with Brian2's own schedule; else worked out from N, V(T) and the books when it is
        asked for (`brian_snn.results.charges`).
    booked : dict of dict of (n_images, *shape) float array
        What neurons note besides, by the name of the book and by population, of those that keep it: ``surplus``, e, the
        sum over spikes of u - V_thr that a reset to zero threw away; ``leaked``, the sum of l(t) that a leak took;
        ``missed``, the charge that arrived while a neuron was refractory (`brian_snn.neurons.table.BOOKS`).
    negative_counts : dict of (n_images, *shape) int array
        How many of the spikes in a population's window were negative, of populations that send such.
    early_counts : dict of (name, step) to (n_images, *shape) int array
        Spikes of a source up to and including `step`: the last before a target listens (clamp), or the last that it
        hears (delay).
    checkpoints : (n_checkpoints,) int array
        The steps at which `count_history` and `output_history` were taken.
    output_history : (n_checkpoints, n_images, *output shape) float array
        Estimated logits after that many steps; those of several outputs one behind the other.
    count_history : dict of (n_checkpoints, n_images, *shape) int array
        Spike counts since the start of the run, for the populations asked for.
    total_counts : dict of (n_checkpoints, n_images) int array
        Spikes of a whole population since the start of the run.
    spike_trains : dict of (n_spikes, 3) int array
        Columns image, step (1 is the first), neuron (flat), for the populations asked for; sorted. A burst of s spikes
        is s rows.
    potential_traces : dict of (n_images, steps, *shape) float array
        V(t) for t = 1..T, for the populations asked for.
    labels : (n_images, ...) int array, optional
        The true class of each image, of the shape of `predictions`.
    first_image : int
        Number of the first image in the whole simulation; the random numbers of an image depend on its number.
    timings_s : dict of str to float
        Seconds spent in each stage.
    pieces : tuple of Result
        The shards of a result on disk; see `parts`.
    """

    network: Network
    settings: Settings
    images: NDArray[np.generic]
    spike_counts: Mapping[str, IntArray]
    potentials: Mapping[str, FloatArray]
    charge: Mapping[str, FloatArray]
    booked: Mapping[str, Mapping[str, FloatArray]]
    negative_counts: Mapping[str, IntArray] = field(default_factory=dict)
    early_counts: Mapping[tuple[str, int], IntArray] = field(default_factory=dict)
    checkpoints: IntArray = field(default_factory=lambda: np.zeros(0, np.int32))
    output_history: FloatArray | None = None
    count_history: Mapping[str, IntArray] = field(default_factory=dict)
    total_counts: Mapping[str, IntArray] = field(default_factory=dict)
    spike_trains: Mapping[str, IntArray] = field(default_factory=dict)
    potential_traces: Mapping[str, FloatArray] = field(default_factory=dict)
    labels: NDArray[np.int64] | None = None
    first_image: int = 0
    timings_s: dict[str, float] = field(default_factory=dict)
    pieces: tuple[Result, ...] = ()

    def __post_init__(self) -> None:
        """Let arrays in memory say which populations there are, where one is asked for that there is not."""
        for name, arrays in vars(self).items():
            if type(arrays) is dict and name != "timings_s":
                inner = {key: ByPopulation(each) if type(each) is dict else each for key, each in arrays.items()}
                object.__setattr__(self, name, ByPopulation(inner))

    def __repr__(self) -> str:
        """Return a summary of a few lines."""
        return as_text(self._title, self._rows, self._notes)

    def _repr_html_(self) -> str:
        """Return the summary for notebooks."""
        return as_html(self._title, ("population", "kind", "shape", "window"), self._rows, self._notes)

    @property
    def _title(self) -> str:
        """What was simulated."""
        return f"Result of {len(self.images):,} images in {self.settings.steps:,} steps of {self.settings.dt}"

    @property
    def _rows(self) -> list[tuple[str, ...]]:
        """A row per population."""
        window = {p.name: f"{self.window_steps(p.name)} steps" for p in self.network.populations}
        return [(p.name, p.kind, str(p.shape), window[p.name]) for p in self.network.populations]

    @property
    def _notes(self) -> list[str]:
        """Settings that are not the defaults, and what was recorded."""
        plain = Settings().numbers()
        changed = [f"{name} {value}" for name, value in self.settings.numbers().items() if value != plain[name]]
        recorded = [
            f"{what} of {', '.join(map(str, names))}"
            for what, names in (("spike trains", self.spike_trains), ("V(t)", self.potential_traces))
            if names
        ]
        recorded += [f"{len(self.checkpoints)} checkpoints"] if len(self.checkpoints) else []
        recorded += [] if self.labels is None else ["labels"]
        return [f"settings: {', '.join(changed) or 'the defaults'}", f"recorded: {', '.join(recorded) or 'the end'}"]

    def parts(self) -> tuple[Result, ...]:
        """Return the result in pieces of a few images each, in order, so that memory need not hold all of it.

        A result that `brian_snn.load_result` opened, or that `simulate` wrote into a folder, has a part for each of its
        shards; any other is its own only part. Arrays of a part are read when they are asked for.
        """
        return self.pieces or (self,)

    def window_start(self, name: str) -> int:
        """Return the number of steps during which the population was clamped."""
        return window_start(self.network[name], self.settings)

    def window_steps(self, name: str) -> int:
        """Return T' / dt, the number of steps of the population's window."""
        return self.settings.steps - self.window_start(name)

    def counts_in_window(self, source: str, target: str) -> IntArray:
        """Return the spikes of `source` that arrive during the window of `target`, ``(n_images, *source shape)``."""
        return self.arrived_counts(source) - self._arrived_until(source, self.window_start(target))

    def arrived_counts(self, source: str) -> IntArray:
        """Return the spikes of `source` that have reached their targets by the end, ``(n_images, *source shape)``."""
        return self._arrived_until(source, self.settings.steps)

    def sent_counts(self, name: str) -> IntArray:
        """Return how many spikes each neuron sent, negative ones too, ``(n_images, *shape)``; a burst is several."""
        net = self.spike_counts[name]
        return net + 2 * self.negative_counts[name] if name in self.negative_counts else net

    def _arrived_until(self, source: str, step: int) -> IntArray:
        """Return the spikes of a source that have reached its targets by the end of a step."""
        population = self.network[source]
        first, *others = different_delays(population, self.settings)
        arrived = self._counts_until(source, step - first)
        for delay in others:
            late = (delays(population, self.settings) == delay).reshape(population.shape)
            arrived = np.where(late, self._counts_until(source, step - delay), arrived)
        return arrived

    def _counts_until(self, source: str, step: int) -> IntArray:
        """Return the spikes of a source up to and including a step, the last or one of `early_counts`."""
        # Before its own window a source is silent.
        if step <= self.window_start(source):
            return np.zeros_like(self.spike_counts[source])
        return self.spike_counts[source] if step == self.settings.steps else self.early_counts[source, step]

    @property
    def still_images(self) -> NDArray[np.generic]:
        """What the rates stand for, ``(n_images, *input_shape)``: the images as given, or the mean over frames."""
        if self.settings.input_coding != "frames":
            return self.images
        # Worked out for the images that are asked for.
        return cast(NDArray[np.generic], MeanFrames(self.images))

    def rates(self, name: str) -> Quantity:
        """Return the firing rates of a population over its window, ``(n_images, *shape)`` in Hz."""
        if not self.window_steps(name):
            return np.zeros(self.spike_counts[name].shape) / second
        return self.spike_counts[name] / (self.window_steps(name) * self.settings.dt)

    @property
    def logits(self) -> FloatArray:
        """The estimated output of the ANN before its last activation, ``(n_images, *output shape)``.

        Mean charge per step of a readout, or the rate over r_max of a spiking output, in the ANN's units.

        Raises
        ------
        DataError
            If the network has several outputs, each of which is in `heads`.
        """
        self._require_one_output()
        return self._logits(self.network.output, from_spikes=has_spikes(self.network.output, self.settings))

    @property
    def outputs(self) -> FloatArray:
        """The estimated output of the ANN, that is the logits put through its last activation; of the same shape.

        With the spiking softmax, whose spikes are not the output's own, the logits are those of the potentials.

        Raises
        ------
        DataError
            If the network's file is of an older format, which does not say what activation that is, or if the network
            has several outputs, each of which is in `heads`.
        """
        self._require_one_output()
        output = self.network.output
        return activate(self.network, self._logits(output, from_spikes=crosses_threshold(output, self.settings)))

    @property
    def heads(self) -> dict[str, Head]:
        """The outputs by the names of their populations, also of a network with one."""
        one = ((self.network.output.name, self.network.output_activation),)
        found = {}
        for name, kind in self.network.heads or one:
            output = self.network[name]
            logits = self._logits(output, from_spikes=has_spikes(output, self.settings))
            found[name] = head_of(kind, logits, self.potentials[name])
        return found

    def _require_one_output(self) -> None:
        """Raise where there are several outputs."""
        if self.network.heads:
            names = ", ".join(repr(name) for name, _ in self.network.heads)
            raise DataError(f"the network has the outputs {names}; result.heads[name].logits is what one of them says.")

    def _logits(self, output: Population, from_spikes: bool) -> FloatArray:
        """Return the logits by an output's spikes or by its potentials."""
        grid, settings = self.network.grid, self.settings
        threshold = own_threshold(settings.threshold, output, grid)
        v_init = own_v_init(settings.threshold, settings.v_init, output, grid)
        spikes = self.spike_counts[output.name] if from_spikes else None
        potentials = self.potentials[output.name]
        return estimate_logits(output, self.settings, v_init, threshold, self.settings.steps, spikes, potentials)

    @property
    def predictions(self) -> IntArray | None:
        """What the network says of each image; None where its output means numbers, as one linear unit does.

        Of a vector of classes the one with the largest logit, (n_images,); of an image the same for each pixel,
        (n_images, height, width); a tie goes to the higher potential. Of sigmoids, each on its own, 1 where the logit
        is positive: (n_images,) of a single one, (n_images, n) of several.
        """
        answer = answer_of(self.network)
        return answer.of(self.logits, self.potentials[self.network.output.name]) if answer.names_classes else None

    @property
    def accuracy(self) -> Accuracy:
        """The share of right answers, with the 95 % interval of Wilson and the number of images.

        Raises
        ------
        DataError
            If the images have no labels, or the output means numbers, of which none is right or wrong.
        """
        answer_of(self.network).require_classes()
        if self.labels is None or self.predictions is None:
            raise DataError("the images of this result have no labels; simulate with labels=, of a class for each.")
        return accuracy(self.labels, self.predictions)

    @property
    def synaptic_events(self) -> NDArray[np.int64]:
        """Spikes times fan-out, summed over all synapses for each image, (n_images,).

        A burst of s spikes is s events at each synapse, and a negative spike one.
        """
        events = (events_of(self, population.name) for population in self.network.populations)
        return sum(events, start=np.zeros(len(self.images), np.int64))

    def save(self, folder: str | Path) -> None:
        """Write the result, its network and its images into a new folder; `brian_snn.load_result` reads it back.

        Raises
        ------
        OutputError
            If the folder exists and is not empty, is being written by another process, or cannot be written.
        """
        parts = self.parts()
        notes = {
            "shard_size": len(parts[0].images),
            "first_image": self.first_image,
            "timings_s": self.timings_s,
        }
        inputs = Inputs(self.network, self.settings, self.images, labels=self.labels)
        write_result(Path(folder), inputs, (part.arrays() for part in parts), notes)

    def arrays(self) -> dict[str, Any]:
        """Return what was measured by the names of the fields: arrays, and dicts of arrays by population."""
        always = {name: getattr(self, name) for name in ("checkpoints", "output_history")}
        return always | {name: self.by_population(name) for name in ARRAYS_BY_NAME}

    def by_population(self, name: str) -> Mapping[Any, NDArray[Any]]:
        """Return the arrays of a field, or of a book, by population."""
        if name not in BOOK_NAMES:
            arrays: Mapping[Any, NDArray[Any]] = getattr(self, name)
            return arrays
        return self.booked.get(name, {})


def events_of(result: Result, name: str) -> NDArray[np.int64]:
    """Return the spikes of a population times their fan-out, for each image."""
    fan = total_fan_out(result.network, name)
    # Unlike a product, this makes no copy of all counts in the type of the sums.
    parts = [np.einsum("ij,j->i", part.sent_counts(name).reshape(len(part.images), -1), fan) for part in result.parts()]
    return np.concatenate(parts).astype(np.int64)
