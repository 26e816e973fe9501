"""Settings in a TOML file: the options of `brian_snn.simulate` by name, times with their unit.

    steps = 500
    dt = "0.5 ms"
    record_spikes = ["dense_1"]

`brian_snn.simulate` writes one into every result folder, and ``--settings`` of the commands reads it. Its names, ranges
and remarks are those of the knobs of `Settings`, `Recording` and `Execution`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import brian_snn.knobs as knobs
from brian_snn.checks import whole_number
from brian_snn.errors import SettingError
from brian_snn.files import check_target, staged_file
from brian_snn.reading import read_toml
from brian_snn.settings import Execution, Recording, Settings

_RECORDS = (Settings, Recording, Execution)
_KNOBS = {knob.name: knob for record in _RECORDS for knob in fields(record) if knob.metadata["kind"] != "other"}

#: What is no field of a record: which images are shown.
IMAGES, ANY_RANGE = "images", "any_range"

_HEAD = """\
# Settings of a simulation. To repeat it:
#   brian-snn simulate NETWORK --data IMAGES --settings {name} -o FOLDER
# An option of the command line takes the place of what is said here, and what is not said here has its default.
"""


def read_settings(path: str | Path) -> dict[str, Any]:
    """Read the options of `simulate` from a settings file.

    ``simulate(network, images, **read_settings("run/run.toml"))`` repeats a simulation.

    Parameters
    ----------
    path : path
        A TOML file of the fields of `Settings`, `Recording` and `Execution`, and of `any_range`. A time has its unit,
        as ``"0.5 ms"``, or is a number of ms. ``images``, the number of images, is for the command line and left out.

    Returns
    -------
    options : dict
        By name, checked; times are Quantities.

    Raises
    ------
    SettingError
        If the file cannot be read or is no TOML, or a value is outside its range; names the file and the option.
    OptionError
        If there is no option of a name; says which has the nearest.
    """
    return {name: value for name, value in read_options(Path(path)).items() if name != IMAGES}


def read_options(path: Path) -> dict[str, Any]:
    """Return what a settings file says, with the number of images; otherwise as `read_settings`."""
    given = read_toml(path, SettingError)
    try:
        for name in given:
            if name not in (known := (*_KNOBS, IMAGES, ANY_RANGE)):
                raise knobs.no_option(name, known)
        checked = {name: given[name] for name in given if name not in _KNOBS}
        if IMAGES in checked:
            whole_number(IMAGES, checked[IMAGES], 1)
        if not isinstance(checked.get(ANY_RANGE, False), bool):
            raise SettingError(f"{ANY_RANGE} is {checked[ANY_RANGE]!r}; it must be true or false.")
        for record in _RECORDS:
            made = knobs.from_plain(record, given)
            checked |= {knob.name: getattr(made, knob.name) for knob in fields(record) if knob.name in given}
    except SettingError as error:
        raise type(error)(f"{path}: {error}") from error
    return checked


def write_settings(
    path: str | Path,
    settings: Settings,
    recording: Recording | None = None,
    execution: Execution | None = None,
    *,
    images: int | None = None,
    any_range: bool = False,
    replace: bool = False,
) -> None:
    """Write a settings file, whole or not at all; `read_settings` gives the same numbers back, to the last bit.

    Parameters
    ----------
    path : path
        The file, ``.toml``.
    settings, recording, execution
        What is written of them: all settings, and of the others what differs from the default. No executor is.
    images : int, optional
        How many images were shown, for the command line.
    any_range : bool
        Whether the images may have another range than the calibration images.
    replace : bool
        Whether a file that is there is replaced.

    Raises
    ------
    OutputError
        If the file is there already, or cannot be written.
    """
    path = Path(path)
    check_target(path, "file", force=replace)
    text = settings_text(path.name, settings, recording, execution, images=images, any_range=any_range)
    with staged_file(path) as staged:
        staged.write_text(text, "utf-8")


def settings_text(name: str, *records: Any, images: int | None = None, any_range: bool = False) -> str:
    """Return the content of a settings file of that name; records that are None are left out."""
    lines = [_HEAD.format(name=name)]
    if images is not None:
        lines.append(_line(IMAGES, images, "images to show, the first ones of those given"))
    if any_range:
        lines.append(_line(ANY_RANGE, any_range, "images may be far from the range of the calibration images"))
    for record in records:
        lines += [_line(knob.name, value, knobs.help_text(knob)) for knob, value in _written(record)]
    return "".join(lines)


def _written(record: Any) -> Iterator[tuple[Field[Any], Any]]:
    """Yield the knobs of a record that a file says, with their values."""
    for knob in () if record is None else fields(record):
        value = getattr(record, knob.name)
        if knob.name in _KNOBS and (isinstance(record, Settings) or value != knob.default):
            yield knob, knobs.written_time(value) if knobs.is_time(knob) else value


def _line(name: str, value: Any, remark: str) -> str:
    """Return one line of the file."""
    import tomli_w

    plain = list(value) if isinstance(value, tuple) else value
    return f"{tomli_w.dumps({name: plain}).rstrip()}  # {remark}\n"
