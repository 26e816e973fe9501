"""The order in which things happen within a time step, as Brian2 scheduling slots.

``same_step`` (the default) gives each population four slots of its own, in topological order: receive, integrate,
threshold, reset. A population's spikes are therefore known, and counted, before its targets integrate: a spike
crosses the whole network within one step, and what arrives in the step of a spike is integrated before the threshold
is tested. The rate equations S1-S11 are derived for this order. Brian2's own order (all groups integrate, all are
thresholded, all synapses deliver, all are reset) makes every layer lag its source by a step and, with reset to zero,
wipes out the input that arrives together with a spike: ``brian2`` keeps it, to show what that costs.
"""

from __future__ import annotations

from dataclasses import dataclass

from brian_snn.settings import Schedule

#: Brian2's own slots. They stay in every schedule, since Brian2's objects use them.
BRIAN2_SLOTS = ("start", "groups", "thresholds", "synapses", "resets", "end")


@dataclass(frozen=True)
class Slots:
    """The scheduling slots of one population."""

    receive: str
    integrate: str
    threshold: str
    reset: str


def population_slots(position: int, schedule: Schedule) -> Slots:
    """Return the slots of the population at that position of the topological order."""
    if schedule == "brian2":
        return Slots("synapses", "groups", "thresholds", "resets")
    return Slots(*(f"{stage}_{position}" for stage in ("receive", "integrate", "threshold", "reset")))


def network_schedule(n_populations: int, schedule: Schedule) -> list[str]:
    """Return the slots of a whole network in the order of their execution."""
    if schedule == "brian2":
        return list(BRIAN2_SLOTS)
    own = [population_slots(position, schedule) for position in range(n_populations)]
    names = [name for slots in own for name in (slots.receive, slots.integrate, slots.threshold, slots.reset)]
    return ["start", *names, *BRIAN2_SLOTS[1:]]
