"""The departures from the ideal neuron, each with the setting that is its size and the sizes that are tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from brian2 import ms

#: What the neuron without any departure is called.
PLAIN = "plain"


@dataclass(frozen=True)
class Departure:
    """A departure from the plain neuron of Eq. (4b) that has a size.

    Parameters
    ----------
    setting : str
        The field of `Settings` that is its size.
    small, full : sequence of float
        The sizes that are tried with the digits of the package, and with those of MNIST, from harmless to destructive;
        none where the experiment has not been run for it.
    unit : str
        Of its size: ``ms``, or that of a number.
    drawn : bool
        Whether it depends on the seed.
    others : dict
        Fields of `Settings` that are the same for all sizes.
    beside : (str, float)
        The departure and size that it is compared with, where that is not the plain neuron.
    """

    setting: str
    small: Sequence[float]
    full: Sequence[float]
    unit: str = "ms"
    drawn: bool = False
    others: Mapping[str, Any] = field(default_factory=dict)
    beside: tuple[str, float] = (PLAIN, 0.0)

    def changes(self, size: float) -> dict[str, Any]:
        """Return the fields of `Settings` that a size of it changes."""
        return {self.setting: size * ms if self.unit == "ms" else size, **self.others}


_LOST, _KEPT = ({"refractory_input": what} for what in ("lost", "kept"))
_RISES, _DRAWS = ({"adaptation": what} for what in ("threshold", "current"))
_LEAK, _DELAY = ("leak", 30.0), ("delay", 5.0)

DEPARTURES = {
    "exponential synapse": Departure("tau_syn", [2, 10, 50], [2, 5, 10, 15, 20, 30, 50]),
    "alpha synapse": Departure("tau_syn", [2, 10, 50], [2, 5, 7, 10, 20], others={"synapse": "alpha"}),
    "excitatory reversal": Departure("reversal_excitatory", [30, 5, 2], [30, 10, 7, 5, 3, 2], "V_thr"),
    "inhibitory reversal": Departure("reversal_inhibitory", [-30, -3, -0.5], [-30, -10, -5, -3, -2, -1, -0.5], "V_thr"),
    "refractory, input lost": Departure("refractory", [1, 2, 5], [1, 2, 3, 5], others=_LOST),
    "refractory, input kept": Departure("refractory", [1, 5, 10], [1, 2, 3, 5], others=_KEPT),
    "leak": Departure("tau_m", [100, 30, 10], [100, 50, 30, 20, 15, 10]),
    "mismatch of leaks": Departure(
        "leak_mismatch", [0.25, 1], [0.25, 0.5, 1, 2], "of the leak", True, {"tau_m": _LEAK[1] * ms}, _LEAK
    ),
    "mismatch of thresholds": Departure(
        "threshold_mismatch", [0.05, 0.2, 0.5], [0.05, 0.1, 0.2, 0.3, 0.5], "V_thr", True
    ),
    "membrane noise": Departure("noise", [0.05, 0.2, 1], [0.05, 0.1, 0.2, 0.5, 1], "V_thr a step", True),
    "threshold adaptation": Departure(
        "adaptation_step", [0.01, 0.1, 1], [0.03, 0.1, 0.2, 0.3, 1], "V_thr a spike", others=_RISES
    ),
    "adaptation current": Departure(
        *("adaptation_step", [0.0003, 0.003, 0.03], [0.0003, 0.001, 0.002, 0.003, 0.01], "V_thr a step, a spike"),
        others=_DRAWS,
    ),
    "delay": Departure("delay", [2, 5, 10], [2, 5, 7, 10, 15, 20]),
    "mismatch of delays": Departure(
        "delay_mismatch", [0.2, 1], [], "of the delay", True, {"delay": _DELAY[1] * ms}, _DELAY
    ),
    "bursts": Departure("burst", [2, 4], [], "spikes a step"),
    "signed spikes": Departure("burst", [1, 2], [], "spikes a step", others={"polarity": "signed"}),
}
