"""The options of the command line that are knobs: the fields of records with their defaults, times in ms."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields
from typing import Any, TypeVar

from brian_snn.knobs import from_plain, help_text, is_time, plain_default
from brian_snn.settings import Settings

_Record = TypeVar("_Record")

#: Settings that a network or the data may say where no option does.
LEFT_OPEN = ("steps", "reset", "dt", "delay")


def _number_or_word(text: str) -> float | str:
    """Return a number, or what is none, of which the record says whether it may be."""
    try:
        return float(text)
    except ValueError:
        return text


_TYPES: dict[str, Callable[[str], object]] = {
    "whole": int,
    "steps": int,
    "real": float,
    "numbers": float,
    "real_or": _number_or_word,
    "time": _number_or_word,
}


def add_settings(parser: ArgumentParser, only: Sequence[str] | None = None, **defaults: Any) -> None:
    """Add an option for every field of `Settings`, or for those named; `defaults` as for `add_knobs`."""
    add_knobs(parser.add_argument_group("settings of the simulation"), Settings, only, **defaults)


def add_knobs(parser: Any, record: type[Any], only: Sequence[str] | None = None, **defaults: Any) -> None:
    """Add an option for every knob of a record, or for those named; `defaults` take the place of the record's own.

    One that is None leaves it to the data, and the record's own is what holds where they do not say.
    """
    for knob in fields(record):
        kind = knob.metadata.get("kind", "other")
        if kind == "other" or (only is not None and knob.name not in only):
            continue
        several = {"nargs": "+"} if kind in ("names", "steps", "numbers") else {}
        parser.add_argument(
            option_name(knob),
            dest=knob.name,
            # The record itself refuses an unknown choice, with a better message than argparse's.
            type=_TYPES.get(kind, str),
            default=defaults.get(knob.name, plain_default(knob)),
            metavar=knob.metadata["unit"],
            help=help_text(knob) + _left_to_the_data(knob) * (defaults.get(knob.name, 0) is None),
            **several,
        )


def _left_to_the_data(knob: Field[Any]) -> str:
    """Return what the help says of a default that holds where the data do not say otherwise."""
    return f" (default: {plain_default(knob)}, or what network or data say)"


def option_name(knob: Field[Any]) -> str:
    """Return the option of a knob."""
    return "--" + knob.name.replace("_", "-")


def record_from(record: type[_Record], arguments: Namespace) -> _Record:
    """Return the checked record that the options give; fields without an option, or with None, keep their default."""
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    made: _Record = from_plain(record, given)
    return made


def settings_from(arguments: Namespace) -> Settings:
    """Return the checked settings that the options give."""
    return record_from(Settings, arguments)


def fill_from_network(arguments: Namespace, simulation: Mapping[str, float | str]) -> None:
    """Give the options that are None what a network asks for, its `Network.simulation`."""
    for name, value in simulation.items():
        option = name.removesuffix("_s")
        if getattr(arguments, option, value) is None:
            # Options of times are in ms.
            setattr(arguments, option, 1e3 * float(value) if name.endswith("_s") else value)


def settings_options(settings: Settings) -> list[str]:
    """Return the options that `settings_from` turns into these settings; defaults are left out."""
    options = []
    defaults = Settings()
    for knob in fields(Settings):
        value = getattr(settings, knob.name)
        if value != getattr(defaults, knob.name):
            # Fifteen digits, since a time that was given in ms may come back with a rounding in the last one.
            shown = f"{float(value) * 1e3:.15g}" if is_time(knob) else str(value)
            options += [option_name(knob), shown]
    return options
