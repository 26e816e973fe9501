"""What leaks, refractory periods, delays, noise and other outputs cost: error of classification against steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from brian2 import ms
from numpy.typing import NDArray

from brian_snn.analysis.classification import choices_over_time
from brian_snn.analysis.operations import COUNT_COLUMNS, COUNT_NAMES, snn_operations
from brian_snn.analysis.verify import verify
from brian_snn.arrays import FloatArray
from brian_snn.network.network import Network
from brian_snn.network.roles import window_start
from brian_snn.plotting.style import Figure
from brian_snn.plotting.variants import plot_variants
from brian_snn.results.result import Result
from brian_snn.running.simulate import stream
from brian_snn.settings import Execution, Settings
from brian_snn.studies.accuracy import checkpoints_up_to
from brian_snn.studies.study import Measured, Params, Study, Watcher
from brian_snn.studies.subjects import demo_subject, mnist_subject

#: The digits of the package.
SMALL: Params = {"images": 200, "steps": 200, "digits": "package", "backend": "standalone"}
#: Test digits of MNIST.
FULL: Params = {"images": 1000, "steps": 500, "digits": "mnist"}


@dataclass(frozen=True)
class Variant:
    """A departure from the plain neuron of Eq. (4b).

    Parameters
    ----------
    kind : str
        What departs; variants of one kind share a panel.
    label : str
        How it is called in the legend.
    changes : dict
        Fields of `Settings` that it changes.
    """

    kind: str
    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Kind and label, for a line of text."""
        return f"{self.kind}, {self.label}" if self.changes else self.label


VARIANTS = (
    Variant("plain", "plain neurons"),
    *(Variant("leak", f"{tau_m:g} ms", {"tau_m": tau_m * ms}) for tau_m in (1000, 300, 100, 30)),
    *(Variant("refractory period", f"{time} ms", {"refractory": time * ms}) for time in (1, 2, 5)),
    *(Variant("synaptic delay", f"{time} ms", {"delay": time * ms}) for time in (1, 2, 5, 10)),
    *(Variant("Poisson input", f"seed {seed}", {"input_coding": "poisson", "seed": seed}) for seed in (1, 2, 3)),
    Variant("max pooling", "gate on rate estimates", {"max_pool": "gate"}),
    Variant("output", "spiking neurons", {"readout": "spikes"}),
    *(
        Variant("output", f"softmax, {rate:g} a step", {"readout": "softmax_generator", "output_rate": rate, "seed": 1})
        for rate in (0.1, 0.5, 1.0)
    ),
)


def error_curve(
    network: Network, images: FloatArray, labels: NDArray[np.integer], activations: Mapping[str, FloatArray],
    variant: Variant, settings: Settings, execution: Execution, n_checkpoints: int = 24,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Simulate images with one variant, verify every neuron, and count errors at every checkpoint.

    Parameters
    ----------
    network : Network
    images : (n_images, *input_shape) float array
        Pixels in [0, 1].
    labels : (n_images,) int array
    activations : dict of (n_images, *shape) float array
        Of the trained network, by population.
    variant : Variant
    settings : Settings
        Those that the variant does not change; its steps are the last checkpoint.
    execution : Execution
    n_checkpoints : int
        At most so many.

    Returns
    -------
    curve : DataFrame
        A row per checkpoint: ``kind``, ``label``, ``steps``, ``wrong`` and ``images``.
    end : DataFrame
        One row on the end of the run: ``kind``, ``label``, ``wrong``, ``images``, ``operations`` and
        ``paper_operations`` (means per image, by either count of `brian_snn.analysis.operations`: synapses used, and
        the paper's) and ``rmse`` (of the rates of the last spiking layer minus a / lambda, as a fraction of r_max).
    report : DataFrame
        Of `brian_snn.verify`.
    """
    settings = replace(settings, **variant.changes)
    checkpoints = checkpoints_up_to(settings.steps, n_checkpoints)
    wrong, operations, squares, n_done = np.zeros(len(checkpoints), int), np.zeros(len(COUNT_COLUMNS)), 0.0, 0
    reports = []
    last = next(p.name for p in reversed(network.populations) if p.kind == "spiking")
    for part in stream(network, images, settings, checkpoints=checkpoints, **vars(execution)):
        here = slice(n_done, n_done + len(part.images))
        wrong += np.sum(choices_over_time(part) != labels[here], axis=1)
        operations += [snn_operations(part, count).sum() for count in COUNT_COLUMNS]
        squares += float(np.sum(_rate_errors(part, last, activations[last][here]) ** 2))
        reports.append(verify(part))
        n_done = here.stop
    case = {"kind": variant.kind, "label": variant.label, "images": n_done}
    curve = pd.DataFrame({**case, "steps": checkpoints, "wrong": wrong})
    rmse = np.sqrt(squares / (n_done * network[last].size))
    means = dict(zip(COUNT_COLUMNS.values(), operations / n_done, strict=True))
    end = pd.DataFrame([case | {"wrong": int(wrong[-1]), **means, "rmse": float(rmse)}])
    return curve, end, pd.concat(reports, ignore_index=True)


def measure(params: Params, execution: Execution, watcher: Watcher) -> Measured:
    """Measure all variants of one network."""
    with watcher.stage("convert the trained network"):
        digits = demo_subject(params["images"]) if params["digits"] == "package" else mnist_subject(params["images"])
        network = digits.network()
        activations = digits.activations(network)
    settings = Settings(params["steps"], backend=params.get("backend", "standalone"))
    shown = (network, digits.test.images, digits.labels, activations)
    measured = []
    for variant in VARIANTS:
        with watcher.stage(variant.name):
            measured.append(error_curve(*shown, variant, settings, execution))
    curves, ends, report = (pd.concat(tables, ignore_index=True) for tables in zip(*measured, strict=True))
    return Measured({"curves": curves, "ends": ends}, _shown(ends), {"": report})


def plot(measured: Measured, params: Params) -> dict[str, Figure]:
    """Draw a panel a kind of variant."""
    return {"variants": plot_variants(measured.tables["curves"])}


def _rate_errors(result: Result, name: str, activations: FloatArray) -> FloatArray:
    """Return the rates of a population minus a / lambda, as fractions of r_max."""
    population = result.network[name]
    n_steps = result.settings.steps - window_start(population, result.settings)
    return result.spike_counts[name] / n_steps - activations / population.scale


def _shown(ends: pd.DataFrame) -> dict[str, str]:
    """Return error and operations at the end."""
    unit = COUNT_NAMES["synapses"]
    return {
        variant.name: f"{100 * row['wrong'] / row['images']:.2f} % wrong, {row['operations']:,.0f} {unit}"
        for variant, (_, row) in zip(VARIANTS, ends.iterrows(), strict=True)
    }


STUDY = Study(measure, plot, SMALL, FULL, "variants.json", digits={"curves": 5, "ends": 5})
