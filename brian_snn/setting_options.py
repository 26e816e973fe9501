"""The options of a simulation: the fields of `Settings` with their defaults, on every command that simulates."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import fields
from typing import get_args, get_type_hints

from brian_snn.settings import Settings

#: Placeholder and meaning of each field of `Settings`; the choices of a Literal field are its placeholder.
SETTING_HELP = {
    "steps": ("N", "time steps per image"),
    "reset": ("", "what a spike takes from the potential: one threshold (subtraction) or everything (zero)"),
    "threshold": ("V", "V_thr, in units where a weight of 1 is one threshold of 1"),
    "v_init": ("V", "V(0) of every neuron, in the unit of the threshold"),
    "clamp": ("STEPS", "steps for which each layer is held at V(0) longer than the layer before it"),
    "dt_s": ("MS", "time step in ms; the highest firing rate is one spike per step"),
    "readout": ("", "whether the output layer integrates its potential, spikes, or answers a generator by a softmax"),
    "projection": ("", "explicit Brian2 Synapses, shared kernels, or auto: whichever suits the number of synapses"),
    "max_pool": ("", "how max pooling spikes: as often as the largest of its inputs, or whenever the leading one does"),
    "schedule": ("", "whether a spike crosses the network within its step, or in Brian2's own order of updates"),
    "backend": ("", "compiled C++, or in process without a compiler (slower)"),
    "tau_m_s": ("MS", "time constant in ms with which the potential leaks away; inf for no leak"),
    "delay_s": ("MS", "time in ms that a spike takes to its targets"),
    "input_coding": ("", "whether the image is a constant current, or a random spike train per pixel (0 to 1)"),
    "output_rate": ("R", "rate of the generator of the softmax, over the highest rate"),
    "seed": ("N", "of the random numbers"),
    "float_type": ("", "type of potentials and weights; float32 is as exact, on a coarser grid (convert --grid)"),
    "refractory_s": ("MS", "time in ms for which a neuron rests after a spike"),
}

_MS_PER_S = 1e3
_TIMES = tuple(field.name for field in fields(Settings) if field.name.endswith("_s"))


def add_settings(parser: ArgumentParser, only: Sequence[str] | None = None) -> None:
    """Add an option for every field of `Settings`, or for those named, with the field's default."""
    group = parser.add_argument_group("settings of the simulation")
    hints, defaults = get_type_hints(Settings), Settings()
    for setting in fields(Settings):
        if only is not None and setting.name not in only:
            continue
        choices, default = get_args(hints[setting.name]), getattr(defaults, setting.name)
        group.add_argument(
            option_name(setting.name),
            dest=setting.name,
            # Settings itself refuses an unknown choice, with a better message than argparse's.
            type=str if choices else hints[setting.name],
            default=default * _MS_PER_S if setting.name in _TIMES else default,
            metavar="|".join(choices) or SETTING_HELP[setting.name][0],
            help=SETTING_HELP[setting.name][1],
        )


def option_name(field_name: str) -> str:
    """Return the option of a field of `Settings`; times are given in ms, so their unit is not in their name."""
    return "--" + field_name.removesuffix("_s").replace("_", "-")


def settings_from(arguments: Namespace) -> Settings:
    """Return the checked settings that the options give; fields without an option keep their default."""
    given = {field.name: getattr(arguments, field.name) for field in fields(Settings) if hasattr(arguments, field.name)}
    given |= {name: given[name] / _MS_PER_S for name in _TIMES if name in given}
    return Settings(**given)


def settings_options(settings: Settings) -> list[str]:
    """Return the options that `settings_from` turns into these settings; defaults are left out."""
    options = []
    for field in fields(Settings):
        value = getattr(settings, field.name)
        if value != field.default:
            # Fifteen digits, since a time that was given in ms may come back with a rounding in the last one.
            shown = f"{value * _MS_PER_S:.15g}" if field.name in _TIMES else str(value)
            options += [option_name(field.name), shown]
    return options
