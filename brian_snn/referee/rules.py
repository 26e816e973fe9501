"""The rules that spiking simulators follow, a line of a table each: Eq. (4) and in what another rule differs from it.

    u(t) = g V(t-1) + z(t),    n(t) spikes if u(t) >= theta,    V(t) = u - theta n (4b)  or  0 (4a)

A rule changes some fields of `Semantics`; two rules that change different fields make a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Literal

from brian_snn.arrays import FloatArray
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT
from brian_snn.referee.weights import CHANGES

Reset = Literal["subtraction", "zero"]


@dataclass(frozen=True, eq=False)
class Semantics:
    """What a simulator does in a step; by default Eq. (4b).

    Parameters
    ----------
    reset : str
        ``subtraction`` (4b) or ``zero`` (4a).
    above : bool
        Whether u must exceed the threshold: ``>`` instead of ``>=``.
    many : bool
        Whether a neuron sends as many spikes a step as thresholds fit into u.
    order : str
        ``same_step``; ``lag``: what is sent arrives in the next step; ``brian2``: it arrives between test and reset.
    bias : str
        ``always``, ``once`` (in the first step) or ``never``.
    floor : float or None
        The lowest potential, in thresholds.
    withheld : bool
        Whether u - theta is tested where V(t-1) > theta, as for a spike that is still to be paid for.
    leak : float
        beta: the part of V that remains after a step.
    scaled : bool
        Whether what arrives counts 1 - beta.
    late : bool
        Whether the reset takes one threshold a step later, after the leak.
    threshold : float
        In units of the network's threshold.
    clamp : int
        Steps for which a layer is held longer than the one before.
    half : bool
        Whether sums are rounded to float16.
    rectified : bool
        Whether what arrives in a step counts as 0 where it is negative.
    pool : str
        Max pooling ``exact``, by the ``gate`` of the paper, or ``any``: a spike where any input spikes.
    weights : str
        A change of the weights, a key of `brian_snn.referee.weights.CHANGES`; empty for none.
    more_weights : str
        Another one, made after it.
    """

    reset: Reset = "subtraction"
    above: bool = False
    many: bool = False
    order: Literal["same_step", "lag", "brian2"] = "same_step"
    bias: Literal["always", "once", "never"] = "always"
    floor: float | None = None
    withheld: bool = False
    leak: float | FloatArray = 1.0
    scaled: bool = False
    late: bool = False
    threshold: float | FloatArray = 1.0
    clamp: int = 0
    half: bool = False
    rectified: bool = False
    pool: Literal["exact", "gate", "any"] = "exact"
    weights: str = ""
    more_weights: str = ""


def _always(network: Network) -> bool:
    return True


def has_bias(network: Network) -> bool:
    """Whether some population has one."""
    return any(population.bias.any() for population in network.populations)


def _has_layers(network: Network) -> bool:
    return any(projection.source != INPUT for projection in network.projections)


def _has_pools(network: Network) -> bool:
    return any(population.kind == "max_pool" for population in network.populations)


@dataclass(frozen=True)
class Rule:
    """A way to differ from Eq. (4).

    Parameters
    ----------
    name : str
    changes : dict
        Fields of `Semantics` with their values.
    applies : callable
        From a network to whether the rule can make a difference in it.
    """

    name: str
    changes: dict[str, Any] = field(hash=False)
    applies: Callable[[Network], bool] = _always


#: The rules without a number to be found, in the order in which they are named.
RULES: list[Rule] = [
    Rule("reset to zero", {"reset": "zero"}),
    Rule("reset by subtraction", {"reset": "subtraction"}),
    Rule("> instead of >=", {"above": True}),
    Rule("many spikes a step", {"many": True}),
    Rule("lag of a step a layer", {"order": "lag"}, _has_layers),
    Rule("Brian2's own order", {"order": "brian2"}, _has_layers),
    Rule("bias in the first step only", {"bias": "once"}, has_bias),
    Rule("no bias", {"bias": "never"}, has_bias),
    Rule("V not below 0", {"floor": 0.0}),
    Rule("V not below -theta", {"floor": -1.0}),
    Rule("withheld spike", {"withheld": True}),
    Rule("sums in float16", {"half": True}),
    Rule("negative input counts as 0", {"rectified": True}),
    Rule("max pooling: any spike of the step", {"pool": "any"}, _has_pools),
    Rule("max pooling: the gate", {"pool": "gate"}, _has_pools),
    *(Rule(name, {"weights": name}, change.applies) for name, change in CHANGES.items()),
]


@dataclass(frozen=True)
class Fitted:
    """A rule with a number that is found from the run.

    Parameters
    ----------
    name : str
        With a place for the number.
    key : str
        Field of `Semantics` that the number is.
    low, high : float
        Between which it is looked for.
    changes : dict
        Of the other fields.
    """

    name: str
    key: str
    low: float
    high: float
    changes: dict[str, Any] = field(default_factory=dict, hash=False)

    def rule(self, value: float) -> Rule:
        """Return the rule with its number."""
        return Rule(self.name.format(value), {**self.changes, self.key: value})


#: Rules with a number.
FITTED: list[Fitted] = [
    Fitted("threshold times {:g}", "threshold", 0.25, 4.0),
    Fitted("leak, beta = {:.6g}", "leak", 0.0, 1.0),
    Fitted("leak, beta = {:.6g}, input times 1 - beta", "leak", 0.0, 1.0, {"scaled": True}),
    Fitted("leak, beta = {:.6g}, before the reset", "leak", 0.0, 1.0, {"late": True}),
]


def clamp_rule(steps: int) -> Rule:
    """Return the rule of a clamp of so many steps a layer."""
    return Rule(f"clamp of {steps} steps a layer", {"clamp": steps})


@dataclass(frozen=True, eq=False)
class Candidate:
    """Rules that are tried together.

    Parameters
    ----------
    rules : tuple of Rule
        None for Eq. (4) itself.
    semantics : Semantics
        What they come to.
    """

    rules: tuple[Rule, ...]
    semantics: Semantics

    @property
    def name(self) -> str:
        """The rules in words."""
        return " and ".join(rule.name for rule in self.rules) or equation(self.semantics)


def equation(semantics: Semantics) -> str:
    """Return the number of the equation in the paper."""
    return "Eq. (4a)" if semantics.reset == "zero" else "Eq. (4b)"


def candidate(base: Semantics, *rules: Rule) -> Candidate | None:
    """Return rules together; None where two of them change the same, or one changes nothing."""
    changes: dict[str, Any] = {}
    for rule in rules:
        for key, value in rule.changes.items():
            key = "more_weights" if key == "weights" and "weights" in changes else key
            if key in changes or getattr(base, key) == value:
                return None
            changes[key] = value
    if changes.get("more_weights") and CHANGES[changes["weights"]].family == CHANGES[changes["more_weights"]].family:
        return None
    return Candidate(rules, replace(base, **changes))


def singles(base: Semantics, network: Network, more: Sequence[Rule] = ()) -> list[Candidate]:
    """Return each rule that can make a difference."""
    rules = [rule for rule in (*RULES, *more) if rule.applies(network)]
    return [each for rule in rules if (each := candidate(base, rule)) is not None]


def pairs(base: Semantics, alone: Sequence[Candidate]) -> Iterator[Candidate]:
    """Yield any two of the rules that go together."""
    for first, second in combinations(alone, 2):
        both = candidate(base, *first.rules, *second.rules)
        if both is not None:
            yield both
