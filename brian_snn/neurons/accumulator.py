"""A membrane of a few bits: an integer that saturates at its ends, or wraps around, as an accumulator of a chip.

V is a signed integer of b bits times a unit (`brian_snn.network.units`). Once a step, after everything that arrives in
it has been added up and before the threshold is tested,

    u <- min(max(u, -2**(b-1)), 2**(b-1) - 1)               saturate
    u <- u - 2**b floor((u + 2**(b-1)) / 2**b)              wrap, as two's complement

in units. What is taken from u is booked as ``overflowed``, negative where the sum had passed the lower end, so that the
charge balance keeps a residual of 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.network.parameters import own_threshold, own_v_init
from brian_snn.network.records import Population
from brian_snn.network.roles import crosses_threshold
from brian_snn.network.units import limits_of
from brian_snn.neurons.integrator import IntegratorState
from brian_snn.neurons.record import Book, Neuron, Scene, State
from brian_snn.settings import Settings

OVERFLOWED = Book("overflowed", True, "overflow", "more accumulator_bits")

_ENDS = ("v_lowest", "v_highest", "v_span")
_EQUATIONS = """overflowed : 1  # charge that passed the ends of V
v_lowest : 1 (shared, constant)  # V_min | least potential, -2**(b-1) units for b bits
v_highest : 1 (shared, constant)  # V_max | largest potential, 2**(b-1) - 1 units
v_span : 1 (shared, constant)  # V_span | what an overflow takes, 2**b units
"""
_TAKE = {
    "saturate": "over = v - clip(v, v_lowest, v_highest)",
    # A division by a power of two is exact.
    "wrap": "over = v_span * floor((v - v_lowest) / v_span)",
}

_FORMULA = {
    "saturate": r"u_i(t) &\leftarrow \min(\max(u_i(t), V_{\mathrm{min}}), V_{\mathrm{max}})",
    "wrap": r"u_i(t) &\leftarrow V_{\mathrm{min}} + (u_i(t) - V_{\mathrm{min}}) \bmod V_{\mathrm{span}}",
}


def with_width(neuron: Neuron, network: Network, population: Population, settings: Settings) -> Neuron:
    """Return a neuron with a membrane whose potential has ``settings.accumulator_bits`` bits."""
    limits, model = limits_of(network, population, settings, neuron.rounds), neuron.model
    narrow = replace(
        model,
        equations=model.equations + _EQUATIONS,
        integrate=f"{model.integrate}\n{_TAKE[settings.overflow]}\nv -= over\noverflowed += over",
        outputs=(*model.outputs, "overflowed"),
        charges=(*model.charges, "overflowed", *_ENDS),
        zeroed=(*model.zeroed, "overflowed"),
        constants=(*model.constants, *_ENDS),
    )

    def limit(v: FloatArray) -> None:
        """Bring potentials into their width."""
        if settings.overflow == "wrap":
            v -= limits.span * np.floor((v - limits.lowest) / limits.span)
        else:
            np.clip(v, limits.lowest, limits.highest, out=v)

    def state(scene: Scene) -> State:
        membrane = neuron.state(scene)
        assert isinstance(membrane, IntegratorState), "what hears charges integrates"
        membrane.limit = limit
        return membrane

    return replace(
        neuron,
        model=narrow,
        state=state,
        books=(*neuron.books, OVERFLOWED),
        no_law="what passes the end of its accumulator is lost, for which the rate law has no term",
        solvable=False,
        title=f"{neuron.title}, potential of {limits.bits} bits",
        formula=_formula(neuron, settings.overflow),
        constants={**neuron.constants, "v_lowest": limits.lowest, "v_highest": limits.highest, "v_span": limits.span},
    )


def _formula(neuron: Neuron, overflow: str) -> tuple[str, ...]:
    """Return the lines of a neuron, with what an overflow does behind the sum of the step."""
    lines = ((line, _FORMULA[overflow]) if line.startswith("u_i(t) &=") else (line,) for line in neuron.formula)
    return tuple(line for pair in lines for line in pair)


def check_widths(network: Network, settings: Settings, neurons: Sequence[Neuron]) -> None:
    """Raise unless threshold and V(0) fit into the accumulators, and what they lose can be summed exactly.

    Parameters
    ----------
    network : Network
    settings : Settings
    neurons : sequence of Neuron
        Of its populations.

    Raises
    ------
    SettingError
        Naming the population, and the bits that it takes.
    """
    if not settings.accumulator_bits:
        return
    for population, neuron in zip(network.populations, neurons, strict=True):
        if neuron.hears != "charge":
            continue
        limits = limits_of(network, population, settings, neuron.rounds)
        v_init = own_v_init(settings.threshold, settings.v_init, population, network.grid)
        fires = crosses_threshold(population, settings)
        top = own_threshold(settings.threshold, population, network.grid) if fires else 0.0
        if not (max(top, v_init) <= limits.highest and v_init >= limits.lowest):
            largest = max(top, abs(v_init)) / limits.unit
            raise SettingError(
                f"population {population.name!r}: accumulator_bits is {limits.bits}, and its threshold or V(0) is "
                f"{largest:.0f} of its units of {limits.unit!r}; take {int(largest).bit_length() + 1} bits or more, or "
                "weights, biases and currents of fewer bits (brian_snn.quantise, a coarser grid)."
            )
        if settings.steps * limits.span > 2.0**52 * limits.unit:
            raise SettingError(
                f"accumulator_bits is {limits.bits}; what is lost in {settings.steps} steps might not be summed "
                "exactly. Take fewer steps or fewer bits."
            )
