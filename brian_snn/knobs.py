"""Fields of records that are knobs: each is written once, with its range, its text and its unit.

A knob's metadata say what it may be and what it does. The record checks itself by them, and its docstring, the options
of the command line and the entries of a sweep are made of them.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Collection, Iterable
from dataclasses import Field, field, fields
from typing import Any, TypeVar, get_args

from brian_snn.checks import real_number, whole_number
from brian_snn.errors import OptionError, SettingError

_Record = TypeVar("_Record", bound=type)

#: Columns of a docstring.
_WIDTH = 116


def no_option(name: str, known: Collection[str]) -> OptionError:
    """Return the error of a name that no knob has, with the likeliest that was meant."""
    likely = difflib.get_close_matches(name, known, 1)
    there = f"did you mean {likely[0]}?" if likely else f"there are {', '.join(known)}."
    return OptionError(f"there is no option {name!r:.200}; {there}")


def sorted_out(options: dict[str, Any], *records: type[Any]) -> list[dict[str, Any]]:
    """Return the options that are fields of each of some records.

    Raises
    ------
    OptionError
        If one is a field of none.
    """
    known = {knob.name: record for record in records for knob in fields(record)}
    for name in options:
        if name not in known:
            raise no_option(name, known)
    return [{name: value for name, value in options.items() if known[name] is record} for record in records]


def choice(default: str, choices: Any, text: str) -> Any:
    """Return a field that is one of the texts of a `Literal`."""
    names = get_args(choices)
    return field(default=default, metadata={"kind": "choice", "choices": names, "text": text, "unit": "|".join(names)})


def whole(default: int | None, least: int, text: str, unit: str = "N") -> Any:
    """Return a field that is a whole number, or may be None where that is its default."""
    return field(default=default, metadata={"kind": "whole", "least": least, "text": text, "unit": unit})


def real(default: float | None, text: str, unit: str) -> Any:
    """Return a field that is a number, or may be None where that is its default."""
    return field(default=default, metadata={"kind": "real", "text": text, "unit": unit})


def real_or(word: str, default: float, text: str, unit: str) -> Any:
    """Return a field that is a number or one word."""
    return field(default=default, metadata={"kind": "real_or", "word": word, "text": text, "unit": unit})


def duration(default_ms: float, text: str) -> Any:
    """Return a field that is a time, as a Quantity; where there are only numbers, such as in options, it is in ms."""
    return field(
        default_factory=lambda: milliseconds(default_ms),
        metadata={"kind": "time", "default_ms": default_ms, "text": text, "unit": "MS"},
    )


def names(text: str, unit: str = "LAYER") -> Any:
    """Return a field that is a sequence of names."""
    return field(default=(), metadata={"kind": "names", "text": text, "unit": unit})


def steps(text: str) -> Any:
    """Return a field that is a sequence of steps, or None for some that are chosen."""
    return field(default=None, metadata={"kind": "steps", "text": text, "unit": "STEP"})


def numbers(default: tuple[float, ...], text: str, unit: str) -> Any:
    """Return a field that is a sequence of at least one number; each is kept once, in ascending order."""
    return field(default=default, metadata={"kind": "numbers", "text": text, "unit": unit})


def name(text: str, unit: str) -> Any:
    """Return a field that is a name, or None."""
    return field(default=None, metadata={"kind": "name", "text": text, "unit": unit})


def milliseconds(number: float) -> Any:
    """Return a number of ms as a Quantity."""
    from brian2 import second

    return number / 1e3 * second


#: Units that a time may have where a person writes it, and how many make a second.
_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6}


def typed_time(name: str, value: Any) -> Any:
    """Return a time that a person wrote: a number of ms, or a text with its unit, as "5 ms"; a Quantity as it is.

    Raises
    ------
    SettingError
        If a text is no number with a unit of time; names the knob.
    """
    from brian2 import Quantity, second

    if isinstance(value, Quantity):
        return value
    if not isinstance(value, str):
        return milliseconds(real_number(name, value))
    number, _, unit = value.strip().partition(" ")
    try:
        return float(number) / _UNITS[unit.strip() or "ms"] * second
    except (ValueError, KeyError):
        raise SettingError(
            f"{name} is {value!r:.200}; it must be a time: a number of ms, or with its unit, as '5 ms' ("
            f"{', '.join(_UNITS)})."
        ) from None


def written_time(value: Any) -> str:
    """Return a time as a text that `typed_time` turns into the same number: in ms, or in s where ms would round it."""
    texts = (f"{float(value) * 1e3:.15g} ms", f"{float(value)!r} s")
    return next(text for text in texts if float(typed_time("time", text)) == float(value))


def check_knobs(record: Any) -> None:
    """Make of each field what it should be: an int, a float, a time, a tuple.

    Raises
    ------
    SettingError
        If a value is of another kind; names the field.
    DimensionMismatchError
        If a time is a number or has another unit.
    """
    for knob in fields(record):
        value, kind = getattr(record, knob.name), knob.metadata.get("kind")
        if kind in _CHECKS and not (value is None and knob.default is None):
            object.__setattr__(record, knob.name, _CHECKS[kind](knob, value))


def _choice(knob: Field[Any], value: Any) -> str:
    if not isinstance(value, str) or value not in knob.metadata["choices"]:
        raise SettingError(f"{knob.name} is {value!r}; it must be one of {', '.join(knob.metadata['choices'])}.")
    return value


def _whole(knob: Field[Any], value: Any) -> int:
    return whole_number(knob.name, value, knob.metadata["least"])


def _real(knob: Field[Any], value: Any) -> float:
    return real_number(knob.name, value)


def _real_or(knob: Field[Any], value: Any) -> float | str:
    if isinstance(value, str) and value == knob.metadata["word"]:
        return value
    if isinstance(value, str):
        raise SettingError(f"{knob.name} is {value!r}; it must be a number or {knob.metadata['word']!r}.")
    return real_number(knob.name, value)


def _time(knob: Field[Any], value: Any) -> Any:
    from brian2 import second
    from brian2.units.fundamentalunits import fail_for_dimension_mismatch

    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = None
    if seconds is None or isinstance(value, str | bool):
        raise SettingError(f"{knob.name} is {value!r}; it must be a time, such as 1*ms.")
    fail_for_dimension_mismatch(value, second, f"{knob.name} must be a time")
    return seconds * second


def _names(knob: Field[Any], value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise SettingError(f"{knob.name} is {value!r}; it must be a sequence of names, as ({value!r},).")
    return _sequence(knob, value)


def _steps(knob: Field[Any], value: Any) -> tuple[int, ...]:
    return tuple(sorted({whole_number("a checkpoint", step, 1) for step in _sequence(knob, value)}))


def _sequence(knob: Field[Any], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, Iterable):
        raise SettingError(f"{knob.name} is {value!r}; it must be a sequence, as [{value!r}].")
    return tuple(value)


def _numbers(knob: Field[Any], value: Any) -> tuple[float, ...]:
    try:
        given = tuple(value)
    except TypeError:
        given = ()
    if not given or isinstance(value, str):
        raise SettingError(f"{knob.name} is {value!r}; it must be a sequence of numbers, at least one.")
    return tuple(sorted({real_number(knob.name, number) for number in given}))


def _name(knob: Field[Any], value: Any) -> str:
    if not isinstance(value, str):
        raise SettingError(f"{knob.name} is {value!r}; it must be a name.")
    return value


_CHECKS = {
    "choice": _choice,
    "whole": _whole,
    "real": _real,
    "real_or": _real_or,
    "time": _time,
    "names": _names,
    "steps": _steps,
    "numbers": _numbers,
    "name": _name,
}


def described(record: _Record) -> _Record:
    """Write the parameters of a record of knobs into its docstring, ahead of what else it says."""
    summary, _, rest = (record.__doc__ or "").partition("\n\n")
    entries = "".join(f"{knob.name} : {_type(knob)}\n{_text(knob)}\n" for knob in fields(record) if knob.metadata)
    parameters = f"Parameters\n----------\n{entries}"
    rest = textwrap.dedent(f"    {rest.lstrip()}")
    record.__doc__ = f"{summary}\n\n{parameters}\n{rest}"
    return record


def _text(knob: Field[Any]) -> str:
    text = knob.metadata["text"]
    text = text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")
    return textwrap.fill(text, _WIDTH, initial_indent="    ", subsequent_indent="    ")


def _type(knob: Field[Any]) -> str:
    kinds = {
        "choice": "str",
        "whole": "int",
        "real": "float",
        "real_or": f"float or {knob.metadata.get('word')!r}",
        "time": "Quantity, time",
        "names": "sequence of str",
        "steps": "sequence of int",
        "numbers": "sequence of float",
        "name": "str",
        "other": knob.metadata.get("unit"),
    }
    optional = ", optional" if knob.default is None else ""
    return f"{kinds[knob.metadata['kind']]}{optional}"


def help_text(knob: Field[Any]) -> str:
    """Return the first sentence of what a knob does, for a line of help."""
    return str(knob.metadata["text"]).partition(". ")[0].removesuffix(".")


def plain_default(knob: Field[Any]) -> Any:
    """Return the default as a person types it: a time in ms."""
    return knob.metadata["default_ms"] if knob.metadata["kind"] == "time" else knob.default


def is_time(knob: Field[Any]) -> bool:
    """Whether a knob is a time."""
    return bool(knob.metadata.get("kind") == "time")


def from_plain(record: type[Any], given: dict[str, Any]) -> Any:
    """Return a record of values as a person types them, times as `typed_time`; what is not given keeps its default."""
    values = {knob.name: given[knob.name] for knob in fields(record) if knob.name in given}
    for knob in fields(record):
        if is_time(knob) and knob.name in values:
            values[knob.name] = typed_time(knob.name, values[knob.name])
    return record(**values)
