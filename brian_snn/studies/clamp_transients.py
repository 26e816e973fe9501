"""What the voltage clamp does to the transients of a network, over the clamp, the steps and the reset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from brian_snn.analysis.transients import offsets_over_time, pearson
from brian_snn.arrays import FloatArray
from brian_snn.errors import SettingError
from brian_snn.network.forward import forward
from brian_snn.network.network import Network
from brian_snn.plotting.style import Figure
from brian_snn.plotting.transients import plot_transients
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution, Recording, Settings
from brian_snn.studies.s1 import Subject, prepare
from brian_snn.studies.study import Measured, Params, Study, Watcher
from brian_snn.studies.subjects import data_path, demo_subject

#: The digits of the package; a layer with feature maps, and the two clamps that are compared over depth.
SMALL: Params = {
    "images": 10,
    "steps": 200,
    "clamps": {"subtraction": [0, 1, 2, 5, 10], "zero": [0, 5, 10]},
    "layer": "conv2d_3",
    "compared": [0, 5],
    "backend": "runtime",
}
#: The network of Figure S1 and its photo; its last layer, after so many steps.
FULL: Params = {
    "weights": "inception_v3_notop.weights.h5",
    "photo": "photos/imagenet_00_243.jpg",
    "percentile": 99.9,
    "clamps": {"subtraction": [0, 1, 2, 5, 10, 20, 30], "zero": [0, 10, 30]},
    "steps": [50, 75, 100, 150, 200, 300, 400, 500],
    "compared": [0, 10],
    "figure_steps": 200,
}
_FRACTIONS = (0.25, 0.5, 0.75, 1.0)


def sweep(
    network: Network, images: FloatArray, activations: Mapping[str, FloatArray], clamps: Mapping[str, Sequence[int]],
    steps: Sequence[int], settings: Settings, execution: Execution,
) -> Iterator[pd.DataFrame]:  # fmt: skip
    """Yield one table per reset and clamp; a single run gives all numbers of steps, as its checkpoints.

    Parameters
    ----------
    network : Network
    images : (n_images, *input_shape) float array
    activations : dict of (n_images, *shape) float array
        Of the populations of interest, in the ANN's units.
    clamps : dict of str to sequence of int
        By reset.
    steps : sequence of int
        Durations of the whole run.
    settings : Settings
        Everything but reset, clamp and steps.
    execution : Execution

    Yields
    ------
    offsets : DataFrame
        Of `brian_snn.analysis.transients.offsets_over_time`, with the columns ``reset`` and ``clamp`` before it.
    """
    recording = Recording(record_counts=list(activations), checkpoints=steps)
    for reset, of_reset in clamps.items():
        for clamp in of_reset:
            each = replace(settings, steps=max(steps), reset=reset, clamp=clamp)  # type: ignore[arg-type]
            table = offsets_over_time(
                simulate(network, images, each, **vars(recording), **vars(execution)), activations
            )
            table.insert(0, "clamp", clamp)
            table.insert(0, "reset", reset)
            yield table


def measure(params: Params, execution: Execution, watcher: Watcher) -> Measured:
    """Measure all clamps: of the network of Figure S1 if the numbers name its weights, or that of the package."""
    record: dict[str, Any] = {}
    if "weights" in params:
        steps = params["steps"]
        with watcher.stage("convert Inception-V3"):
            weights, photo = (data_path(params[name]) for name in ("weights", "photo"))
            subject = prepare(str(weights), photo, percentile=params["percentile"])
        network, images, found = subject.network, subject.image, subject.activations
        record = {"network": subject.summary, "saturation_limit": saturation_limit(subject)}
    else:
        steps = sorted({round(fraction * params["steps"]) for fraction in _FRACTIONS} - {0})
        with watcher.stage("convert the trained network"):
            demo = demo_subject(params["images"])
            network, images = demo.network(), demo.test.images
        _require_steps(network, params)
        found = demo.activations(network)
    activations = {p.name: found[p.name] for p in network.populations if p.kind == "spiking"}
    with watcher.stage("simulate all clamps"):
        settings = Settings(backend=params.get("backend", "standalone"))
        tables = sweep(network, images, activations, params["clamps"], steps, settings, execution)
        offsets = pd.concat(tables, ignore_index=True)
    return Measured({"offsets": offsets}, _shown(offsets, _layer(offsets, params), steps[-1]), record=record)


def plot(measured: Measured, params: Params) -> dict[str, Figure]:
    """Draw the offsets over steps, clamps and depth."""
    offsets = measured.tables["offsets"]
    first, second = params["compared"]
    step = params.get("figure_steps", params["steps"])
    return {"clamp_transients": plot_transients(offsets, _layer(offsets, params), (first, second), step)}


def saturation_limit(subject: Subject) -> dict[str, float]:
    """Return r and the mean absolute map offset of the ANN itself, were its activations cut at lambda."""
    network, output = subject.network, subject.network.output.name
    cut = tuple(replace(p, ceiling=float(p.scale)) if p.kind == "spiking" else p for p in network.populations)
    whole, limited = (forward(n, subject.image)[output] for n in (network, replace(network, populations=cut)))
    offsets = (limited - whole).reshape(-1, whole.shape[-1]).mean(axis=0)
    return {"pearson_r": pearson(whole, limited), "mean_abs_offset": float(abs(offsets).mean())}


def _require_steps(network: Network, params: Params) -> None:
    """Raise unless the layer that is drawn is free for at least a step."""
    layer, steps = params["layer"], params["steps"]
    longest = max(max(of_reset) for of_reset in params["clamps"].values()) * (network[layer].depth - 1)
    if steps <= longest:
        raise SettingError(f"--steps is {steps}; the longest clamp holds {layer} for {longest}, take more.")


def _layer(offsets: pd.DataFrame, params: Params) -> str:
    """Return the layer that is drawn: the deepest, if the numbers name none."""
    return str(params.get("layer", offsets.loc[offsets["depth"].idxmax(), "population"]))


def _shown(offsets: pd.DataFrame, layer: str, step: int) -> dict[str, str]:
    """Return the offset of a layer at the end."""
    rows = offsets[(offsets["population"] == layer) & (offsets["step"] == step)]
    return {
        f"{row.reset}, clamp {row.clamp}": f"mean |map offset| {row.mean_abs_offset:.4f} r_max, r = {row.pearson_r:.4f}"
        for row in rows.itertuples()
    }


STUDY = Study(measure, plot, SMALL, FULL, "offsets.json", digits={"offsets": 6})
