"""The neuron models: each a record of its Brian2 equations, what it does in each slot, and what a spike does to it.

Every membrane keeps its own books: ``charge`` is q, the sum of z(t) over the steps in which the neuron was not
clamped, and ``surplus`` is e, what a reset to zero threw away. Together with the spike count and the potentials they
make the charge balance an identity between measured numbers. A leak books what it took under ``leaked``, a refractory
neuron what it did not hear under ``missed``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from brian_snn.settings import Reset, Schedule

# `active` is 0 while the clamp holds the population. Steps are counted from 0 at the start of each image.
_ACTIVE = "int(t_in_timesteps >= clamp_steps)"

_MEMBRANE = """
v : 1
current : 1
charge : 1
v_thr : 1 (shared, constant)
v_start : 1 (shared, constant)
clamp_steps : integer (shared)
"""
_DRIVE = "drive : 1\n"
_COUNT = "n_spikes : integer\n"
_SURPLUS = "surplus : 1\n"
_LEAK = """
leaked : 1
leak_rate : 1 (shared, constant)
grid : 1 (shared, constant)
"""
_REFRACTORY = """
missed : 1
ready_at : integer
refractory_steps : integer (shared, constant)
"""

#: State variables and parameters that are charges; all else is a number or a count.
CHARGES = ("v", "current", "charge", "drive", "v_thr", "v_start", "surplus", "leaked", "missed")

#: State variables that start an image at 0, wherever a model has them.
STARTS_AT_ZERO = (
    *("n_spikes", "charge", "surplus", "leaked", "missed"),
    *("drive", "hit", "lead", "passed", "ready_at", "chosen", "axon", "n_arrived"),
)


@dataclass(frozen=True)
class NeuronModel:
    """What Brian2 needs to know of a neuron.

    Parameters
    ----------
    equations : str
        State variables.
    on_spike_from : str
        What a synapse does to its target when its source spikes; weights are called ``w``, and ``first_source`` and
        ``n_neurons`` are those of `brian_snn.simulation.topology.Link`.
    has_weights : bool
        Whether `on_spike_from` uses ``w``.
    integrate : str
        Statements of the integrate slot; empty for none.
    threshold : str
        Condition of a spike; empty for a neuron that never spikes.
    reset : str
        Statements on a spike.
    outputs : tuple of str
        State variables to report at the end of a run.
    competes : bool
        Whether `brian_snn.backends.competition` says which of its neurons spikes, by setting ``chosen`` to 1.
    arrival : str
        Condition of the event ``arrival``: a spike that it sent a delay ago reaches its targets. Empty without a delay,
        when the spike itself does.
    constants : tuple of str
        Numbers that are the same for all its neurons and set at run time, besides those of every membrane.
    """

    equations: str
    on_spike_from: str
    has_weights: bool
    integrate: str
    threshold: str
    reset: str
    outputs: tuple[str, ...]
    constants: tuple[str, ...] = ()
    competes: bool = False
    arrival: str = ""


def integrator(
    spikes: bool,
    reset: Reset,
    schedule: Schedule,
    receives_spikes: bool,
    leaks: bool = False,
    rests: bool = False,
) -> NeuronModel:
    """Return the integrate-and-fire neuron of Eq. (4), with a leak and a refractory period if asked for.

        u(t) = V(t-1) - l(t) + z(t),    spike if u(t) >= V_thr,    V(t) = u - V_thr (4b)  or  0 (4a)
        l(t) = (1 - exp(-dt / tau_m)) V(t-1), rounded to the grid

    The rounding of the leak is what keeps V on the grid, its sums exact, and the charge balance at a residual of 0; it
    is at most half a grid step. A refractory neuron leaves V as it is.

    Parameters
    ----------
    spikes : bool
        False for a readout, which integrates only.
    reset : str
        ``subtraction`` (4b) or ``zero`` (4a).
    schedule : str
        With ``brian2`` synapses act on V itself, as in any script written for Brian2's own order.
    receives_spikes : bool
        False where all input is a constant current.
    leaks, rests : bool
        Whether V leaks, and whether there is a refractory period; with the schedule ``same_step`` only.
    """
    collects = receives_spikes and schedule == "same_step"
    keeps_surplus = spikes and reset == "zero"
    received = "w * int(t_in_timesteps >= clamp_steps_post)"
    resets = {"subtraction": ["v -= v_thr"], "zero": ["surplus += v - v_thr", "v = 0"]}[reset]
    resets += ["n_spikes += 1", *["ready_at = t_in_timesteps + 1 + refractory_steps"] * rests]
    conditions = ["v >= v_thr", "t_in_timesteps >= clamp_steps", *["t_in_timesteps >= ready_at"] * rests]
    booked = {"surplus": keeps_surplus, "leaked": leaks, "missed": rests}
    return NeuronModel(
        equations=_MEMBRANE
        + _DRIVE * collects
        + _COUNT * spikes
        + _SURPLUS * keeps_surplus
        + _LEAK * leaks
        + _REFRACTORY * rests,
        on_spike_from="drive_post += w"
        if schedule == "same_step"
        else f"v_post += {received}\ncharge_post += {received}",
        has_weights=True,
        integrate=_integration(collects, leaks, rests),
        threshold=" and ".join(conditions) if spikes else "",
        reset="\n".join(resets) if spikes else "",
        outputs=(*["n_spikes"] * spikes, "v", "charge", *(name for name, kept in booked.items() if kept)),
        constants=(*["leak_rate", "grid"] * leaks, *["refractory_steps"] * rests),
    )


def _integration(collects: bool, leaks: bool, rests: bool) -> str:
    """Return the statements of the integrate slot: what a rest misses, the leak, the charge of the step."""
    z = "(drive + current)" if collects else "current"
    awake = f"{_ACTIVE} * int(t_in_timesteps >= ready_at)" if rests else _ACTIVE
    missed = [f"missed += {z} * {_ACTIVE} * int(t_in_timesteps < ready_at)"]
    leak = [f"loss = nearest_product(v, leak_rate) * grid * {awake}", "v -= loss", "leaked += loss"]
    charge = [f"z = {z} * {awake}", "v += z", "charge += z"]
    return "\n".join([*missed * rests, *leak * leaks, *charge, *["drive = 0"] * collects])


def softmax_readout(receives_spikes: bool) -> NeuronModel:
    """Return the output neuron that integrates, and spikes when a softmax chooses it; its V is not reset."""
    integrates = integrator(False, "subtraction", "same_step", receives_spikes)
    return replace(
        integrates,
        equations=integrates.equations + _COUNT + "chosen : integer\n",
        threshold="chosen > 0",
        reset="n_spikes += 1\nchosen = 0",
        outputs=("n_spikes", *integrates.outputs),
        competes=True,
    )


def poisson_input() -> NeuronModel:
    """Return the neuron that spikes in each step with the probability that its pixel says: rate a r_max.

    Its draws are numbered step by step and neuron by neuron within a step, in the stream of the image.
    """
    return NeuronModel(
        equations=_COUNT + "current : 1\nstream : 1 (shared)\nfirst_step : integer (shared)\n",
        on_spike_from="",
        has_weights=False,
        integrate="",
        # In float64: whole numbers past 2**31 are exact there, and not in Brian2's integers.
        threshold="uniform(stream, 1.0 * N * (t_in_timesteps - first_step) + i) < current",
        reset="n_spikes += 1",
        outputs=("n_spikes",),
    )


def with_axon(model: NeuronModel) -> NeuronModel:
    """Return the model with an axon, on which a spike travels for d steps before it reaches its targets.

    ``axon`` is a row of bits: bit k says whether there was a spike k steps ago, and bit d, ``arrival_bit`` = 2**d, that
    one arrives. Bits move up by one in each step, before the threshold. ``n_arrived`` counts arrivals for those who
    read it, the max pooling units.
    """
    move = "axon = 2 * (axon - arrival_bit * int(axon >= arrival_bit))"
    return replace(
        model,
        equations=model.equations + "axon : 1\nn_arrived : integer\narrival_bit : 1 (shared, constant)\n",
        integrate=f"{model.integrate}\n{move}".strip(),
        reset=f"{model.reset}\naxon += 1",
        arrival="axon >= arrival_bit",
        constants=(*model.constants, "arrival_bit"),
    )


def exact_max_pool(schedule: Schedule, count: str = "n_spikes") -> NeuronModel:
    """Return the unit that spikes when the largest spike count among its inputs grows: N(t) = max_j N_j(t).

    A count grows by at most one a step, and so does their maximum. The order in which inputs are visited does not
    matter: each only tells whether its count has passed the unit's own. `count` is the count that it reads.
    """
    # Under Brian2's own order a source's count has not been raised yet when its spike is delivered.
    seen = f"{count}_pre" if schedule == "same_step" else f"{count}_pre + 1"
    return NeuronModel(
        equations=_COUNT + "hit : integer\n",
        on_spike_from=f"hit_post += int({seen} > n_spikes_post)",
        has_weights=False,
        integrate="",
        threshold="hit > 0",
        reset="n_spikes += 1\nhit = 0",
        outputs=("n_spikes",),
    )


def gated_max_pool(count: str = "n_spikes") -> NeuronModel:
    """Return the paper's max pooling: a gate lets the spikes of the input with the highest rate estimate pass.

    The estimate of a rate is N_j(t) / t, the spike of this step included, so the leader is the input with the largest
    count; of several, the first in the order of the network's neurons. A spike passes if its sender leads after it.
    Where inputs lead in turn, spikes of more than one of them pass: N(t) >= max_j N_j(t).

    The leader is the input with the largest rank n_neurons N_j - j, which grows only when neuron j spikes. So the
    largest rank grows exactly when the leader spikes, and the order in which inputs are visited does not matter.
    `count` is the count that it reads.
    """
    return NeuronModel(
        equations=_COUNT + "lead : 1\npassed : 1\n",
        on_spike_from=f"rank = 1.0 * {count}_pre * n_neurons - (first_source + i)\n"
        "lead_post += (rank - lead_post) * int(rank > lead_post)",
        has_weights=False,
        integrate="",
        threshold="lead > passed",
        reset="n_spikes += 1\npassed = lead",
        outputs=("n_spikes",),
    )
