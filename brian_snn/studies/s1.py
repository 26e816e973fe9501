"""Figure S1 (a) to (f) at full size, from a photo and the weights of Inception-V3.

The part of Inception-V3 up to the 32 feature maps of the first mixed block's pool branch is converted, and simulated
twice for one photo: without and with the voltage clamp. Kept are the numbers below the figure (``figure_s1.json``) and
what it shows (``figure_s1.npz``), from which `brian_snn.plotting.figure_s1` draws it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brian_snn.analysis.transients import layer_offsets
from brian_snn.analysis.verify import verify
from brian_snn.arrays import FloatArray
from brian_snn.conversion.convert import convert
from brian_snn.errors import SettingError
from brian_snn.frontends.keras.applications import Inception, load_inception, pool_branch_layer
from brian_snn.frontends.table import reference_activations
from brian_snn.network.network import Network
from brian_snn.photos import photo_files, read_photo
from brian_snn.plotting.figure_s1 import FigureS1, plot_figure_s1, save_data
from brian_snn.plotting.style import Figure
from brian_snn.results.result import Result
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution, Settings
from brian_snn.studies.study import Measured, Params, Study, Watcher
from brian_snn.version import __version__

#: Weights and photo are named by whoever measures; ``calibration`` may name a folder of other photos.
FULL: Params = {"percentile": 99.9, "steps": 200, "clamp": 10}

#: At most so many photos of a folder set the scales.
MAX_CALIBRATION = 32

#: The names of the two simulations in ``figure_s1.json``.
UNCLAMPED, CLAMPED = "unclamped", "clamped"


@dataclass(frozen=True, eq=False)
class Subject:
    """A converted network and the photo that it is shown.

    Parameters
    ----------
    network : Network
        The part of Inception-V3 that ends in Figure S1's layer.
    photo : (299, 299, 3) float array
        In [0, 1].
    image : (1, 299, 299, 3) float array
        The photo in the range of pixels that the weights were trained on.
    activations : dict of (1, *shape) float array
        What the trained network computes for every population.
    summary : dict
        Where all that comes from, for the numbers below the figure.
    """

    network: Network
    photo: FloatArray
    image: FloatArray
    activations: dict[str, FloatArray]
    summary: dict[str, Any]


def measure(params: Params, execution: Execution, watcher: Watcher) -> Measured:
    """Simulate the photo without and with the clamp, and verify both."""
    settings = Settings(params["steps"], clamp=params["clamp"], backend=params.get("backend", "standalone"))
    with watcher.stage("convert Inception-V3"):
        calibration = params.get("calibration")
        subject = prepare(params["weights"], params["photo"], calibration, params["percentile"])
    runs = {UNCLAMPED: replace(settings, clamp=0), CLAMPED: settings}
    _require_window(subject.network, settings)
    results = {name: _simulate(watcher, name, subject, each, execution) for name, each in runs.items()}
    with watcher.stage("verify every neuron"):
        reports = {name: verify(result) for name, result in results.items()}
    data = figure_data(subject, results, reports)
    files = {"figure_s1.npz": partial(save_data, data), "figure_s1.json": partial(_write_summary, data)}
    return Measured(shown=data.summary, reports=reports, files=files, data=data)


def plot(measured: Measured, params: Params) -> dict[str, Figure]:
    """Draw all panels."""
    return {"figure_s1": plot_figure_s1(measured.data)}


def prepare(weights: str, photo: Path, calibration: Path | None = None, percentile: float = 99.9) -> Subject:
    """Convert Inception-V3 up to the layer of Figure S1.

    Parameters
    ----------
    weights : str
        ``imagenet`` or the path of a file of weights.
    photo : Path
        The photo to simulate.
    calibration : Path, optional
        Folder of the photos that set the scales; by default the folder of `photo`.
    percentile : float
        Of the positive activations that becomes lambda.

    Raises
    ------
    DataError
        If a photo cannot be read.
    ModelError
        If the weights cannot be loaded.
    SettingError
        If the percentile is outside its range.
    """
    files = photo_files(calibration or photo.absolute().parent)[:MAX_CALIBRATION]
    inception = load_inception(weights)
    side = inception.model.input_shape[1]
    picture = read_photo(photo, side)
    pictures = np.stack([read_photo(file, side) for file in files])
    layer = pool_branch_layer(inception.model)
    network = convert(inception.model, _pixels(inception, pictures), percentile=percentile, until=layer)
    image = _pixels(inception, picture[None])
    output = network.output
    summary = {
        "percentile": percentile,
        "weights": inception.weights,
        "photo": photo.name,
        "calibration_photos": len(files),
        "layer": output.name,
        "shape": list(output.shape),
        "neurons": sum(population.size for population in network.populations),
    }
    return Subject(network, picture, image, reference_activations(inception.model, network, image), summary)


def figure_data(subject: Subject, results: Mapping[str, Result], reports: Mapping[str, pd.DataFrame]) -> FigureS1:
    """Return what the figure shows of two simulations, `UNCLAMPED` and `CLAMPED`, and of what `verify` says of them."""
    output = subject.network.output
    activations = {output.name: subject.activations[output.name]}
    rates = {name: np.asarray(r.rates(output.name)[0] * float(r.settings.dt)) for name, r in results.items()}
    numbers: dict[str, Any] = {}
    for name, result in results.items():
        row = layer_offsets(result, activations).iloc[0]
        numbers |= {
            f"pearson_{name}": float(row["pearson_r"]),
            f"map_offset_{name}": float(row["mean_abs_offset"]),
            f"bias_correlation_{name}": float(row["bias_correlation"]),
            f"synaptic_events_{name}": int(result.synaptic_events[0]),
            f"run_seconds_{name}": round(result.timings_s["run"], 1),
            f"checks_{name}": int(reports[name]["neurons"].sum()),
            f"max_residual_charge_{name}": float(reports[name]["max_residual_charge"].max()),
        }
    settings = results[CLAMPED].settings
    return FigureS1(
        photo=np.rint(subject.photo * 255).astype(np.uint8),
        activations=activations[output.name][0] / output.scale,
        rates_unclamped=rates[UNCLAMPED],
        rates_clamped=rates[CLAMPED],
        bias=output.bias.mean(axis=(0, 1)),
        summary=numbers
        | {"steps": settings.steps, "clamp": settings.clamp, "reset": settings.reset}
        | subject.summary
        | {"brian_snn": __version__},
    )


def _write_summary(data: FigureS1, path: Path) -> None:
    """Write the numbers below the figure."""
    path.write_text(json.dumps(data.summary, indent=1) + "\n", "utf-8")


def _pixels(inception: Inception, photos: FloatArray) -> FloatArray:
    """Return photos in [0, 1] in the range that the weights were trained on."""
    black, white = inception.pixels
    return black + photos * (white - black)


def _require_window(network: Network, settings: Settings) -> None:
    """Raise unless the last layer is free for at least a step."""
    start = settings.clamp * (network.output.depth - 1)
    if settings.clamp == 0 or settings.steps <= start:
        raise SettingError(
            f"clamp is {settings.clamp} and steps is {settings.steps}; the clamp must be at least 1, and the layer of "
            f"Figure S1 is clamped for {network.output.depth - 1} times as many steps, fewer than there must be in all."
        )


def _simulate(watcher: Watcher, name: str, subject: Subject, settings: Settings, execution: Execution) -> Result:
    """Simulate the photo and show the progress."""
    bars = watcher.simulation(name, len(subject.image))
    result = simulate(subject.network, subject.image, settings, **vars(execution) | bars.callbacks)
    bars.finish(result.timings_s)
    return result


STUDY = Study(measure, plot, FULL, FULL, "figure_s1.json")
