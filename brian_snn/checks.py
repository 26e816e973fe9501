"""Numbers that come from users: what is none is refused by the name of its option, others become Python's own."""

from __future__ import annotations

from numbers import Real
from typing import Any

from brian_snn.errors import SettingError


def whole_number(name: str, value: Any, least: int) -> int:
    """Return an option as an int.

    Raises
    ------
    SettingError
        If it is no whole number or below `least`.
    """
    # Infinity and NaN are no multiples of 1.
    if not _is_number(value) or value != value // 1 or value < least:
        raise SettingError(f"{name} is {value!r}; it must be a whole number of at least {least}.")
    return int(value)


def real_number(name: str, value: Any) -> float:
    """Return an option as a float.

    Raises
    ------
    SettingError
        If it is no number; infinity and NaN are some.
    """
    if not _is_number(value):
        raise SettingError(f"{name} is {value!r}; it must be a number.")
    try:
        return float(value)
    except OverflowError as error:
        raise SettingError(f"{name} has {len(str(value))} digits; it must be a number that float64 holds.") from error


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
