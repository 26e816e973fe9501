"""`build`: a network becomes a folder of C++ that simulates it where there is no Python."""

from __future__ import annotations

from dataclasses import fields
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from brian_snn.arrays import FloatArray
from brian_snn.backends.project import write_project
from brian_snn.errors import OptionError, SettingError
from brian_snn.files import check_target, staged_folder
from brian_snn.inputs import as_one
from brian_snn.network.network import Network
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution, Recording, Settings
from brian_snn.simulation.job import make_job, settings_of

#: What the settings of a program may be: its pixels and its output draw no random numbers, and it takes still images.
_ALLOWED: dict[str, tuple[object, ...]] = {
    "input_coding": ("current",),
    "readout": ("potential", "spikes"),
    "backend": ("standalone",),
}


def build(
    network: Network,
    settings: Settings | None = None,
    *,
    output: str | Path,
    image: ArrayLike | None = None,
    any_range: bool = False,
    replace: bool = False,
    **options: Any,
) -> None:
    """Write a folder with the C++ program of a network: it needs g++ and make, and no Python.

    The program has the numbers that `brian_snn.simulate` has, bit for bit: spike counts, final potentials, logits and
    predictions of each image that it is given. The folder holds a test image and what is right for it, which is
    simulated here, by the runtime backend; nothing is compiled.

    Parameters
    ----------
    network : Network
        From `brian_snn.convert` or `brian_snn.load_network`.
    settings : Settings, optional
        How to simulate; by default as `Settings()` and the network say.
    output : path
        The folder, which is there whole or not at all.
    image : array of shape ``network.input_shape``, optional
        The test image; by default seeded random pixels in the range of the calibration images.
    any_range : bool
        Whether to take a test image far from that range, as in `brian_snn.simulate`.
    replace : bool
        Whether an earlier folder of this function, without what was compiled in it, is replaced.
    **options
        The fields of `brian_snn.Settings` by name, such as ``steps=200, reset="zero", dt=1*ms``. One of them takes the
        place of what `settings` says.

    Raises
    ------
    SettingError
        If a setting is outside its range, or the program has not got it: frames, and pixels or outputs that are drawn.
    ModelError, DataError, DimensionMismatchError
        As `brian_snn.simulate` raises them.
    OutputError
        If the folder is there already, or cannot be written.
    """
    check_target(Path(output), "folder", replace)
    others = {field.name for kind in (Recording, Execution) for field in fields(kind)}
    for name in options:
        if name in others:
            raise OptionError(f"{name!r} is no setting: a program to take away has the fields of Settings alone.")
    settings = settings_of(network, settings, options)
    _require_possible(settings)
    pixels = _test_image(network) if image is None else np.asarray(as_one(image, network.inputs))[None]
    right = simulate(network, pixels, replaced(settings, backend="runtime"), any_range=any_range)
    with staged_folder(Path(output)) as folder:
        write_project(folder, make_job(network, settings, Recording()), right)


def _require_possible(settings: Settings) -> None:
    """Raise where a program cannot have the settings."""
    for name, whole in _ALLOWED.items():
        if (value := getattr(settings, name)) not in whole:
            raise SettingError(f"{name} is {value!r}; a program to take away can have {' or '.join(map(repr, whole))}.")


def _test_image(network: Network) -> FloatArray:
    """Return one image of seeded random pixels."""
    low, high = network.calibration_range or (0.0, 1.0)
    return np.random.default_rng(0).uniform(low, high, (1, *network.input_shape))
