"""What ``brian-snn convert``, ``simulate`` and ``verify`` do: check the output first, work, show, write at the end."""

from __future__ import annotations

import time
from argparse import Namespace

import numpy as np

from brian_snn import load_network, load_result
from brian_snn.analysis.verify import verify as verify_result
from brian_snn.cli import FAILED, simulate_arguments
from brian_snn.console import RESIDUAL_NOTE, Stages, heading, holds, new_console, table, verdict, verification_rows
from brian_snn.datasets import Dataset, load_images
from brian_snn.errors import SettingError
from brian_snn.outputs import check_target, staged_file, staged_folder
from brian_snn.pipeline import convert_file
from brian_snn.reports import activity_rows, population_rows, projection_note
from brian_snn.simulation.settings import Settings
from brian_snn.simulation.simulate import simulate as simulate_network


def convert(arguments: Namespace) -> int:
    """Convert a model file, show the populations and write the network."""
    console = new_console()
    check_target(arguments.output, "file", arguments.force)
    start = time.perf_counter()
    network = convert_file(
        arguments.model,
        arguments.data,
        arguments.percentile,
        arguments.normalisation,
        arguments.grid,
        arguments.until,
    )
    console.print(table(population_rows(network), ("layer", "kind")), projection_note(network), sep="\n")
    with staged_file(arguments.output) as path:
        network.save(path)
    console.print(f"\nconverted in {time.perf_counter() - start:.1f} s, wrote {arguments.output}")
    return 0


def simulate(arguments: Namespace, settings: Settings) -> int:
    """Simulate a saved network on a data file, show what came out and write the result."""
    console = new_console()
    check_target(arguments.output, "folder", arguments.force)
    network = load_network(arguments.network)
    data = first_images(load_images(arguments.data, network.input_shape), arguments.images)
    with Stages(console) as stages:
        bars = stages.simulation(f"reset: {settings.reset}", len(data.images))
        result = simulate_network(
            network,
            data.images,
            **simulate_arguments(settings),
            workers=arguments.workers,
            record_spikes=arguments.record_spikes,
            record_potentials=arguments.record_potentials,
            checkpoints=arguments.checkpoints,
            progress=bars.ran,
            build_progress=bars.built,
        )
        bars.finish(result.timings_s)
    with staged_folder(arguments.output) as folder:
        result.save(folder)
        if data.labels is not None:
            np.save(folder / "labels.npy", data.labels)
    console.print(table(activity_rows(result, data.labels), ("",)))
    console.print(f"wrote {arguments.output}")
    return 0


def verify(arguments: Namespace) -> int:
    """Verify a saved result, show the residuals, and return 1 if an equation does not hold."""
    console = new_console()
    result = load_result(arguments.result)
    report = verify_result(result)
    title = heading("Largest residual charge", RESIDUAL_NOTE)
    console.print(title, table(verification_rows(report), ("population",)), verdict(report), sep="\n")
    return 0 if holds(report) else FAILED


def first_images(data: Dataset, n_images: int | None) -> Dataset:
    """Return the first `n_images` of the data with their labels, or all of it for None."""
    if n_images is None:
        return data
    if n_images < 1:
        raise SettingError(f"--images is {n_images}; it must be at least 1.")
    return Dataset(data.images[:n_images], None if data.labels is None else data.labels[:n_images], data.source)
