"""A converted network as live Brian2 objects, for a script of one's own: monitors, further groups, synapses onto ours.

The objects are those that `brian_snn.simulate` runs, with explicit `Synapses`, and of the kind that any device of
Brian2 translates. What runs them is the user's own Brian2: nothing is set but the parameters of these objects.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import Clock, NeuronGroup, Quantity, Synapses
from brian2 import Network as BrianNetwork
from numpy.typing import ArrayLike

from brian_snn.arrays import FloatArray
from brian_snn.backends.brian_objects import brian_network
from brian_snn.backends.shared_kernel import RuntimeKernel
from brian_snn.backends.starting import set_parameters, start_image
from brian_snn.datasets import check_image_array
from brian_snn.errors import SettingError
from brian_snn.escaping import shown
from brian_snn.inputs import as_one
from brian_snn.network.network import Network
from brian_snn.neurons.poisson import require_rates
from brian_snn.pixel_range import require_calibrated_range
from brian_snn.settings import Recording, Settings
from brian_snn.simulation.job import Job, make_job, run_inputs, settings_of
from brian_snn.simulation.runs import RunInputs
from brian_snn.simulation.schedule import Slots, population_slots


class Brian2Model(Mapping[str, NeuronGroup]):
    """The Brian2 objects of a converted network, by the names of its populations.

    ``model["dense_1"]`` is the `NeuronGroup` of a population. Made by `brian_snn.brian2`.

    Parameters
    ----------
    network : brian2.Network
        Holds all objects, and has the schedule in which a spike crosses the network within its step. Add your own.
    synapses : mapping
        From (source, target) to the `Synapses` between two populations; of a second projection between the same two
        from (source, target, 1). With ``max_pool="gate"`` and NumPy code, what ends at a gate is an object of our own.
    clock : Clock
        Of all these objects; its dt is that of the settings.
    """

    def __init__(self, job: Job, clock: Clock) -> None:
        self._job = job
        self._objects = brian_network(job.layout, clock)
        self._positions = {population.name: k for k, population in enumerate(job.network.populations)}
        self.network: BrianNetwork = self._objects.network
        self.clock: Clock = self._objects.clock
        self.synapses: dict[tuple[Any, ...], Synapses | RuntimeKernel] = {}
        for link, carrier in zip(job.layout.links, self._objects.links, strict=True):
            ends = tuple(job.network.populations[position].name for position in (link.source, link.target))
            twins = sum(key[:2] == ends for key in self.synapses)
            self.synapses[(*ends, twins) if twins else ends] = carrier
        set_parameters(job.layout, self._objects, job.constants)

    def __getitem__(self, name: str) -> NeuronGroup:
        """Return the neurons of a population, numbered in C order of its shape."""
        return self._objects.groups[self._position(name)]

    def __iter__(self) -> Any:
        """Iterate over the names of the populations, in topological order."""
        return iter(self._positions)

    def __len__(self) -> int:
        """Return the number of populations."""
        return len(self._positions)

    def __repr__(self) -> str:
        """Return a line per population."""
        lines = [f"Brian2Model of {len(self)} populations, dt = {self._job.settings.dt!s}"]
        for population in self._job.network.populations:
            group = self[population.name]
            lines.append(f"  {shown(population.name)}  {group.name}  {population.kind} {population.shape}")
        return "\n".join(lines)

    @property
    def settings(self) -> Settings:
        """How the network is simulated."""
        return self._job.settings

    @property
    def inputs(self) -> dict[str, NeuronGroup]:
        """The groups that see the image; their variable ``current`` is what `show` sets, a charge per step."""
        layers = zip(self._positions, self._job.layout.layers, strict=True)
        return {name: self[name] for name, layer in layers if layer.sees_image}

    def slots(self, name: str) -> Slots:
        """Return the scheduling slots of a population: receive, integrate, threshold, reset, for ``when=`` of others.

        What acts on a population in its slot ``receive`` arrives before this step's threshold; what acts in Brian2's
        own slot ``synapses``, the default, acts after all populations have spiked, and so on the next step.
        """
        return population_slots(self._position(name), self._job.layout.schedule)

    def show(self, image: ArrayLike, *, number: int = 0, any_range: bool = False) -> None:
        """Start an image: every neuron goes back to V(0), its counts to zero, and the image is shown from now on.

        Parameters
        ----------
        image : (*network.input_shape) array, or dict of arrays
            One image, as the model takes it, of one with several inputs by their names.
        number : int
            Number of the image; its random numbers depend on it, as they do in `brian_snn.simulate`.
        any_range : bool
            Whether pixels may be far from the range of the calibration images.

        Raises
        ------
        DataError, SettingError
            If the image does not fit the network, or V could leave the exact range in the steps of the settings.
        """
        now = round(float(self.network.t) / float(self.clock.dt))
        inputs = self._inputs(image, number, any_range)
        start_image(self._job.layout, self._objects, self._job.constants, inputs, 0, now)

    def run_args(self, image: ArrayLike, *, number: int = 0, any_range: bool = False) -> dict[Any, FloatArray | float]:
        """Return what an image changes in a compiled program, for ``device.run(run_args=...)`` of Brian2.

        The program starts with the image that was shown when it was built; this puts another in its place. Parameters
        and errors are those of `show`.
        """
        inputs = self._inputs(image, number, any_range)
        changed: dict[Any, FloatArray | float] = {}
        for position, currents in inputs.currents.items():
            changed[self._objects.groups[position].current] = currents[0]
        for position, keys in inputs.noise.items():
            changed[self._objects.groups[position].stream] = keys[0].item()
        return changed

    def run(self, duration: Quantity | None = None, **options: Any) -> None:
        """Run the Brian2 network, by default for the steps of the settings; ``options`` are those of its ``run``."""
        settings = self._job.settings
        options.setdefault("namespace", {})
        self.network.run(settings.steps * settings.dt if duration is None else duration, **options)

    def _inputs(self, image: ArrayLike, number: int, any_range: bool) -> RunInputs:
        """Return the currents of an image, checked as `brian_snn.simulate` checks them."""
        network = self._job.network
        if isinstance(image, Mapping):
            image = {name: np.asarray(values)[None] for name, values in image.items()}
            checked = np.asarray(as_one(image, network.inputs))
        else:
            checked = np.asarray(image)[None]
        checked, found = check_image_array(checked, network.input_shape, "image")
        require_rates(checked, self._job.settings)
        if not any_range:
            require_calibrated_range(found, network.calibration_range)
        return run_inputs(self._job, checked, number)

    def _position(self, name: str) -> int:
        """Return the place of a population."""
        if name not in self._positions:
            names = ", ".join(map(shown, self._positions))
            raise KeyError(f"there is no population {name!r:.200}; there are {names}.")
        return self._positions[name]


def brian2(
    network: Network, settings: Settings | None = None, *, clock: Clock | None = None, **options: Any
) -> Brian2Model:
    """Return a network as live Brian2 objects of the device that is active, parameters set.

    Parameters
    ----------
    network : Network
        From `brian_snn.convert` or `brian_snn.load_network`.
    settings : Settings, optional
        How to simulate; by default as `Settings()` or the network's own file says. Spikes travel through explicit
        `Synapses`; the backend is the active device of Brian2.
    clock : Clock, optional
        Of the objects, with the dt of the settings, such as Brian2's ``defaultclock``; by default one of their own.
    **options
        Fields of `brian_snn.Settings` by name; each takes the place of what `settings` says.

    Returns
    -------
    model : Brian2Model

    Raises
    ------
    SettingError, OptionError
        If a setting is outside its range or unknown, or one that other objects cannot live beside: shared kernels, a
        readout by softmax, frames; or if the clock has another dt.
    """
    settings = settings_of(network, settings, options)
    refused = {
        "projection": (("shared",), "is compiled code of our own; take 'synapses' or 'auto', which are Synapses here"),
        "readout": (
            ("softmax_generator", "softmax_rates"),
            "is drawn by code of our own; take 'potential' or 'spikes'",
        ),
        "input_coding": (("frames",), "needs an image a step; call show for each image, or set `current` yourself"),
    }
    for name, (values, reason) in refused.items():
        if (value := getattr(settings, name)) in values:
            raise SettingError(f"{name} is {value!r}, which {reason}.")
    clock = Clock(dt=settings.dt, name="snn_clock*") if clock is None else clock
    if float(clock.dt) != float(settings.dt):
        raise SettingError(
            f"the clock has a dt of {clock.dt}; that of the settings is {settings.dt}. Make them the same."
        )
    job = make_job(network, dataclasses.replace(settings, projection="synapses"), Recording())
    return Brian2Model(job, clock)
