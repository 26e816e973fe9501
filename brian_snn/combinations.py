"""Settings that are not defined together, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping

from brian_snn.errors import SettingError

# What the settings that are defined for the schedule `same_step` only must be with the other one.
_SAME_STEP_ONLY: dict[str, object] = {
    "max_pool": "exact",
    "tau_m_s": math.inf,
    "refractory_s": 0.0,
    "tau_syn_s": 0.0,
    "reversal_excitatory": math.inf,
    "reversal_inhibitory": -math.inf,
    "adaptation_step": 0.0,
    "threshold_mismatch": 0.0,
    "noise": 0.0,
    "delay_s": 0.0,
    "burst": 1,
    "polarity": "positive",
    "input_coding": "current",
    "accumulator_bits": 0,
}

# What settings must be where a spike carries a number, and why.
_ONE_SPIKE_ONLY: dict[str, tuple[object, str]] = {
    "reset": ("subtraction", "a reset to zero throws away the charge that the further spikes of a step stand for"),
    "max_pool": ("exact", "the gate lets spikes pass one by one"),
    "refractory_s": (0.0, "a neuron that rests after a spike sends none to go with it"),
    "accumulator_bits": (0, "the bits of potentials are those of neurons that send one spike a step"),
    "delay_s": (0.0, "spikes under way are bits, which have no size"),
}

# What they must be besides where a spike may be negative, and why.
_POSITIVE_ONLY: dict[str, tuple[object, str]] = {
    "adaptation_step": (0.0, "spikes that are taken back would lower a threshold below V_thr, or turn a current round"),
    "reversal_excitatory": (math.inf, "what a spike brings depends on V, and cannot be taken back later"),
    "reversal_inhibitory": (-math.inf, "what a spike brings depends on V, and cannot be taken back later"),
}


def require_defined(numbers: Mapping[str, object]) -> None:
    """Raise SettingError where a variant meets another, or a schedule, for which it is not defined.

    Parameters
    ----------
    numbers : mapping
        `brian_snn.Settings.numbers`.
    """
    if numbers["schedule"] != "same_step":
        if numbers["readout"] == "softmax":
            raise SettingError("readout is 'softmax'; with schedule='brian2' it must be 'potential' or 'spikes'.")
        for name, plain in _SAME_STEP_ONLY.items():
            if numbers[name] != plain:
                shown = name.removesuffix("_s")
                raise SettingError(f"{shown} is {numbers[name]!r}; with schedule='brian2' it must be {plain!r}.")
    for name, defined in (("burst", _ONE_SPIKE_ONLY), ("polarity", _ONE_SPIKE_ONLY | _POSITIVE_ONLY)):
        if numbers[name] != _SAME_STEP_ONLY[name]:
            _require_plain(numbers, name, defined)


def _require_plain(numbers: Mapping[str, object], graded: str, defined: Mapping[str, tuple[object, str]]) -> None:
    """Raise where a setting is not what it must be with one that gives spikes a size."""
    for name, (only, reason) in defined.items():
        if numbers[name] != only:
            shown, beside = name.removesuffix("_s"), f"{graded}={numbers[graded]!r}"
            raise SettingError(f"{shown} is {numbers[name]!r}; with {beside} it must be {only!r}: {reason}.")
