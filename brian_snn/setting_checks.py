"""Which values the settings of a simulation may have, one by one and beside each other."""

from __future__ import annotations

import math
from typing import Any

from brian_snn.combinations import require_defined
from brian_snn.errors import SettingError

#: Steps and spikes are counted in 32 bits.
MOST_STEPS = 2**31 - 1

#: Bits of the widest accumulator.
MOST_BITS = 32

#: The spikes under way to a neuron's targets are bits of a float, which has 53.
LONGEST_DELAY = 50

#: The size of a spike is a byte where runs are stepped outside Brian2.
LARGEST_BURST = 127


def check_ranges(settings: Any) -> None:
    """Raise a SettingError that names the first value of a `Settings` that is outside its range."""
    for name in ("steps", "clamp"):
        if getattr(settings, name) > MOST_STEPS:
            raise SettingError(f"{name} is {getattr(settings, name)!r}; it must be at most {MOST_STEPS}.")
    if settings.burst > LARGEST_BURST or settings.burst * settings.steps > MOST_STEPS:
        raise SettingError(f"burst is {settings.burst!r}; it must be at most {LARGEST_BURST}, and in all {MOST_STEPS}.")
    if not (math.isfinite(settings.threshold) and settings.threshold > 0):
        raise SettingError(f"threshold is {settings.threshold!r}; it must be a positive finite number.")
    if not math.isfinite(settings.v_init):
        raise SettingError(f"v_init is {settings.v_init!r}; it must be a finite number.")
    dt_s, tau_m_s = float(settings.dt), float(settings.tau_m)
    # The inverse of the smallest numbers is infinite.
    if not (math.isfinite(dt_s) and dt_s > 0 and math.isfinite(1 / dt_s)):
        raise SettingError(f"dt is {dt_s!r} s; it must be a positive time of which 1 / dt is finite.")
    if not tau_m_s > 0:
        raise SettingError(f"tau_m is {tau_m_s!r} s; it must be a positive time, infinite for no leak.")
    if not 0 < settings.output_rate <= 1:
        raise SettingError(f"output_rate is {settings.output_rate!r}; it must be above 0 and at most 1.")
    for name in ("adaptation_step", "threshold_mismatch", "leak_mismatch", "delay_mismatch", "noise"):
        if not 0 <= getattr(settings, name) < math.inf:
            raise SettingError(f"{name} is {getattr(settings, name)!r}; it must be a finite number of at least 0.")
    if not (settings.reversal_excitatory > 1 and settings.reversal_inhibitory < 0):
        ends = (settings.reversal_excitatory, settings.reversal_inhibitory)
        raise SettingError(
            f"reversal_excitatory and reversal_inhibitory are {ends}; the first must lie above the threshold, 1, and "
            "the second below rest, 0."
        )
    if not 0 <= float(settings.tau_syn) < math.inf:
        raise SettingError(f"tau_syn is {float(settings.tau_syn)!r} s; it must be a finite time, 0 for none.")
    if not float(settings.tau_adaptation) > 0:
        raise SettingError(f"tau_adaptation is {float(settings.tau_adaptation)!r} s; it must be a positive time.")
    _check_accumulators(settings)
    _require_whole_steps(settings, "refractory", float(settings.refractory))
    _require_whole_steps(settings, "delay", float(settings.delay))
    if settings.delay_steps > LONGEST_DELAY:
        raise SettingError(f"delay is {settings.delay_steps} steps; it must be at most {LONGEST_DELAY}.")
    require_defined(settings.numbers())


def _check_accumulators(settings: Any) -> None:
    """Raise where potentials have a width that none can have, or with a readout that is drawn from them."""
    bits = settings.accumulator_bits
    if bits == 1 or bits > MOST_BITS:
        raise SettingError(f"accumulator_bits is {bits!r}; it must be 0, or 2 to {MOST_BITS}.")
    if bits and settings.readout == "softmax":
        raise SettingError("accumulator_bits is set; readout must be 'potential' or 'spikes', and not 'softmax'.")


def _require_whole_steps(settings: Any, name: str, time_s: float) -> None:
    """Raise where a time is negative or no multiple of the time step."""
    steps = time_s / float(settings.dt)
    # A product of decimal numbers misses a whole number by a few roundings.
    if not (math.isfinite(steps) and steps >= 0 and abs(steps - round(steps)) < 1e-9 * max(1.0, steps)):
        raise SettingError(
            f"{name} is {time_s!r} s; it must be a whole number of steps of {float(settings.dt)!r} s, 0 for none."
        )
