"""What a result becomes in other libraries: tables of pandas, arrays of xarray, spike trains of Neo.

Images are numbered as in the whole simulation (`Result.first_image`). A spike of step k is at its end, k dt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brian_snn.arrays import IntArray
from brian_snn.errors import DataError, SettingError
from brian_snn.network.network import Network
from brian_snn.network.synapses import total_fan_out
from brian_snn.settings import Settings

if TYPE_CHECKING:
    import neo
    import xarray

#: Names of the axes of a population by their number, channels last.
_AXES = {1: ("neuron",), 2: ("x", "channel"), 3: ("y", "x", "channel")}


class Exports:
    """What `Result` has of this; here is what of a result it reads."""

    network: Network
    settings: Settings
    images: NDArray[np.generic]
    checkpoints: IntArray

    def parts(self) -> tuple[Any, ...]:
        """Return the result in pieces of consecutive images."""
        raise NotImplementedError

    def to_dataframe(self, per: str = "population") -> pd.DataFrame:
        """Return a tidy table.

        Parameters
        ----------
        per : str
            ``image``: a row per image, with ``spikes`` and ``synaptic_events`` of all populations. ``population``: a
            row per image and population, with ``neurons``, ``spikes`` (sent, in its window), ``rate_hz`` (the mean over
            its neurons) and ``synaptic_events``. ``neuron``: a row per image, population and neuron (flat, in C order),
            with ``spikes`` (net, where some are negative), ``rate_hz`` and ``potential``.

        Returns
        -------
        table : DataFrame
            Where the output names a class for each image, rows per image and per population have ``prediction`` and,
            with labels, ``label`` and ``correct``.

        Raises
        ------
        SettingError
            If `per` is none of these.
        """
        if per not in _TABLES:
            raise SettingError(f"per is {per!r}; it must be one of {', '.join(_TABLES)}.")
        return _TABLES[per](self)

    def to_xarray(self, population: str | None = None) -> xarray.Dataset:
        """Return arrays with named axes (``pip install 'brian_snn[xarray]'``).

        Parameters
        ----------
        population : str, optional
            Whose neurons; without it, sums over the neurons of every population.

        Returns
        -------
        dataset : xarray.Dataset
            Of a population ``spikes``, ``rate`` (Hz) and ``potential`` over ``image`` and the axes of its shape, and,
            where they were recorded, ``spikes_until`` over ``step`` (the checkpoints) and ``potential_trace`` over
            ``time`` (ms). Without one ``spikes`` and ``synaptic_events`` over ``image`` and ``population``, and over
            ``step``, where there are checkpoints, ``spikes_until`` and ``logits``. Images have their labels and
            predictions as coordinates, where they have one each.
        """
        import xarray

        variables = _of_all(self) if population is None else _of_neurons(self, population)
        used = {axis for axes, *_ in variables.values() for axis in axes}
        dt_ms = 1e3 * float(self.settings.dt)
        along = {
            "image": _numbers(self),
            "step": np.asarray(self.checkpoints),
            "population": [each.name for each in self.network.populations],
            "time": ("time", np.arange(1, self.settings.steps + 1) * dt_ms, {"units": "ms"}),
        }
        coordinates = {axis: values for axis, values in along.items() if axis in used}
        coordinates |= {name: ("image", values) for name, values in _classes(self).items()}
        return xarray.Dataset(variables, coordinates, {"dt_ms": dt_ms, "steps": self.settings.steps})

    def to_neo(self, populations: Sequence[str] | None = None, images: Sequence[int] | None = None) -> neo.Block:
        """Return the recorded spike trains as a block of Neo (``pip install 'brian_snn[neo]'``).

        Parameters
        ----------
        populations : sequence of str, optional
            Of those that were recorded; by default all of them.
        images : sequence of int, optional
            Their places in this result, from 0; by default all of them.

        Returns
        -------
        block : neo.Block
            A segment for each image, with a spike train in ms for each neuron, silent ones too, from 0 to the end of
            the run. Trains have the annotations ``image``, ``population``, ``neuron`` (flat, in C order) and
            ``position`` (in the population's shape), and the name ``population[neuron]``. A burst of several spikes is
            as many at the same time; negative spikes are in no train.

        Raises
        ------
        DataError
            If no spike trains were recorded, or not of a population; the message says what to record.
        """
        import neo

        names = recorded_populations(self, populations)
        chosen = range(len(self.images)) if images is None else images
        if wrong := [image for image in chosen if not 0 <= image < len(self.images)]:
            raise DataError(f"there is no image {wrong[0]}; the result has {len(self.images)}, the first of them 0.")
        block = neo.Block(name="brian_snn", dt_ms=1e3 * float(self.settings.dt), steps=self.settings.steps)
        classes, first = _classes(self), 0
        for part in self.parts():
            here = [image - first for image in chosen if 0 <= image - first < len(part.images)]
            trains = {name: part.spike_trains[name] for name in names}
            for image in here:
                of_image = {name: int(values[first + image]) for name, values in classes.items()}
                block.segments.append(_segment(part, trains, image, of_image))
            first += len(part.images)
        return block


# --- tables ---------------------------------------------------------------------------------------------------------


def _per_population(result: Any) -> pd.DataFrame:
    """Return a row per image and population."""
    populations, n_images = result.network.populations, len(result.images)
    sums = {name: values.ravel() for name, (_, values, *_) in _of_all(result).items() if values.ndim == 2}
    neurons = np.tile([p.size for p in populations], n_images)
    windows_s = np.tile([result.window_steps(p.name) for p in populations], n_images) * float(result.settings.dt)
    names = pd.Categorical(np.tile([p.name for p in populations], n_images), [p.name for p in populations])
    of_images = {"image": _numbers(result), **_classes(result)}
    columns = {name: np.repeat(values, len(populations)) for name, values in of_images.items()}
    # A population that is clamped to the end has no spikes.
    rates_hz = sums["spikes"] / neurons / np.where(windows_s, windows_s, np.inf)
    columns |= {"population": names, "neurons": neurons, "spikes": sums["spikes"], "rate_hz": rates_hz}
    return _with_correct(pd.DataFrame(columns | {"synaptic_events": sums["synaptic_events"]}))


def _per_image(result: Any) -> pd.DataFrame:
    """Return a row per image."""
    sums = {name: values.sum(axis=1) for name, (_, values, *_) in _of_all(result).items() if values.ndim == 2}
    return _with_correct(pd.DataFrame({"image": _numbers(result), **_classes(result), **sums}))


def _with_correct(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with whether each prediction is right, where there are labels."""
    if "label" in table:
        table.insert(3, "correct", table["label"] == table["prediction"])
    return table


def _per_neuron(result: Any) -> pd.DataFrame:
    """Return a row per image, population and neuron."""
    tables, names = [], [p.name for p in result.network.populations]
    for population in result.network.populations:
        counts = np.asarray(result.spike_counts[population.name])
        columns = {
            "image": np.repeat(_numbers(result), population.size),
            "population": pd.Categorical([population.name] * counts.size, names),
            "neuron": np.tile(np.arange(population.size), len(counts)),
            "spikes": counts.ravel(),
            "rate_hz": np.asarray(result.rates(population.name)).ravel(),
            "potential": np.asarray(result.potentials[population.name]).ravel(),
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


_TABLES: dict[str, Callable[[Any], pd.DataFrame]] = {
    "image": _per_image,
    "population": _per_population,
    "neuron": _per_neuron,
}


# --- arrays ---------------------------------------------------------------------------------------------------------


def _of_all(result: Any) -> dict[str, tuple[Any, ...]]:
    """Return what is known of every image and population, as xarray takes variables."""
    populations = result.network.populations
    spikes = np.zeros((len(result.images), len(populations)), np.int64)
    events, first = np.zeros_like(spikes), 0
    fans = {p.name: total_fan_out(result.network, p.name) for p in populations}
    for part in result.parts():
        rows = slice(first, first + len(part.images))
        for column, population in enumerate(populations):
            sent = part.sent_counts(population.name).reshape(len(part.images), -1)
            spikes[rows, column] = sent.sum(axis=1)
            events[rows, column] = np.einsum("ij,j->i", sent, fans[population.name])
        first += len(part.images)
    axes = ("image", "population")
    variables: dict[str, tuple[Any, ...]] = {"spikes": (axes, spikes), "synaptic_events": (axes, events)}
    if len(result.checkpoints):
        # What only integrates has none.
        none = np.zeros((len(result.checkpoints), len(result.images)), np.int64)
        until = np.stack([result.total_counts.get(p.name, none) for p in populations], axis=-1)
        variables["spikes_until"] = (("step", *axes), until)
    if result.output_history is not None and not result.network.heads:
        history = np.asarray(result.output_history)
        variables["logits"] = (("step", "image", *_axes(result.network.output.shape)), history)
    return variables


def _of_neurons(result: Any, name: str) -> dict[str, tuple[Any, ...]]:
    """Return what is known of every neuron of a population, as xarray takes variables."""
    axes = ("image", *_axes(result.network[name].shape))
    variables: dict[str, tuple[Any, ...]] = {
        "spikes": (axes, result.spike_counts[name]),
        "rate": (axes, np.asarray(result.rates(name)), {"units": "Hz"}),
        "potential": (axes, result.potentials[name], {"units": "thresholds of 1"}),
    }
    if name in result.count_history:
        variables["spikes_until"] = (("step", *axes), result.count_history[name])
    if name in result.potential_traces:
        variables["potential_trace"] = (("image", "time", *axes[1:]), result.potential_traces[name])
    return variables


def _axes(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the axes of a population."""
    return _AXES.get(len(shape), tuple(f"axis_{k}" for k in range(len(shape))))


def _numbers(result: Any) -> NDArray[np.int64]:
    """Return the numbers of the images in the whole simulation."""
    return np.arange(result.first_image, result.first_image + len(result.images))


def _classes(result: Any) -> dict[str, NDArray[Any]]:
    """Return label and prediction of the images, where each has one."""
    found = {} if result.network.heads else {"label": result.labels, "prediction": result.predictions}
    return {name: values for name, values in found.items() if values is not None and values.ndim == 1}


# --- spike trains ---------------------------------------------------------------------------------------------------


def recorded_populations(result: Any, wanted: Sequence[str] | None) -> list[str]:
    """Return the populations whose spike trains are wanted; all of them were recorded."""
    recorded = list(result.parts()[0].spike_trains)
    names = recorded if wanted is None else [result.network[name].name for name in wanted]
    if missing := [name for name in names if name not in recorded] or ([] if recorded else ["..."]):
        raise DataError(
            f"the spike trains of {', '.join(map(repr, missing))} were not recorded; simulate with "
            f"record_spikes={missing!r}."
            if recorded or wanted
            else "no spike trains were recorded; simulate with record_spikes=, of the names of populations: "
            f"{', '.join(repr(p.name) for p in result.network.populations)}."
        )
    return names


def _segment(part: Any, trains: dict[str, IntArray], image: int, classes: dict[str, int]) -> neo.Segment:
    """Return the spike trains of one image of a part."""
    import neo

    number, dt_ms = part.first_image + image, 1e3 * float(part.settings.dt)
    segment = neo.Segment(name=f"image {number}", index=number, image=number, **classes)
    for name, rows in trains.items():
        shape = part.network[name].shape
        steps, neurons = rows[rows[:, 0] == image, 1:].T
        # By neuron; those of a neuron stay in the order of time.
        order = np.argsort(neurons, kind="stable")
        ends = np.searchsorted(neurons[order], np.arange(part.network[name].size + 1))
        for neuron, position in enumerate(np.ndindex(*shape)):
            times = steps[order[ends[neuron] : ends[neuron + 1]]] * dt_ms
            segment.spiketrains.append(
                neo.SpikeTrain(
                    times,
                    units="ms",
                    t_stop=part.settings.steps * dt_ms,
                    name=f"{name}[{neuron}]",
                    **{"image": number, "population": name, "neuron": neuron, "position": list(position)},
                )
            )
    return segment
