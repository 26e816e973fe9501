"""What the voltage clamp does to the transients of a network, over the clamp, the steps and the reset."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from brian_snn.analysis.transients import offsets_over_time
from brian_snn.arrays import FloatArray
from brian_snn.cli.console import Stages
from brian_snn.errors import SettingError
from brian_snn.network.network import Network
from brian_snn.plotting.transients import plot_transients
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution, Recording, Settings
from brian_snn.studies.drawing import Drawn, demo_subject

#: The small run: clamps by reset, the last layer with feature maps, and the two clamps compared over depth.
CLAMPS = {"subtraction": (0, 1, 2, 5, 10), "zero": (0, 5, 10)}
LAYER = "conv2d_3"
COMPARED = (0, 5)
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


def draw(arguments: Namespace, stages: Stages) -> Drawn:
    """Draw the figure for the network and some digits that ship with the package."""
    steps = sorted({round(fraction * arguments.steps) for fraction in _FRACTIONS} - {0})
    with stages.stage("convert the trained network"):
        demo = demo_subject(arguments.images)
        network = demo.network()
    longest = max(max(of_reset) for of_reset in CLAMPS.values()) * (network[LAYER].depth - 1)
    if arguments.steps <= longest:
        raise SettingError(f"--steps is {arguments.steps}; the longest clamp holds {LAYER} for {longest}, take more.")
    found = demo.activations(network)
    activations = {p.name: found[p.name] for p in network.populations if p.kind == "spiking"}
    with stages.stage("simulate all clamps"):
        settings, execution = Settings(backend=arguments.backend), Execution()
        tables = sweep(network, demo.digits.images, activations, CLAMPS, steps, settings, execution)
        offsets = pd.concat(tables, ignore_index=True)
    return Drawn(plot_transients(offsets, LAYER, COMPARED, steps[-1]), {"offsets": offsets}, _shown(offsets, steps[-1]))


def _shown(offsets: pd.DataFrame, step: int) -> dict[str, str]:
    """Return the offset of the last layer with feature maps at the end."""
    rows = offsets[(offsets["population"] == LAYER) & (offsets["step"] == step)]
    return {
        f"{row.reset}, clamp {row.clamp}": f"mean |map offset| {row.mean_abs_offset:.4f} r_max, r = {row.pearson_r:.4f}"
        for row in rows.itertuples()
    }
