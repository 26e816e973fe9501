"""What a program to take away reads of its network: `take_away.h` in ``brian_snn/backends/program`` has the other end.

A folder of plain files: ``model.txt`` holds whole numbers and decimals, line by line, the arrays lie beside it as their
bytes, and ``names.txt`` has the names of the populations, escaped, which are called by their positions everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from brian_snn.answers import Meaning
from brian_snn.backends.run_files import write_array, write_parameters
from brian_snn.escaping import shown
from brian_snn.network.maps import grouped
from brian_snn.network.output import answer_to
from brian_snn.network.parameters import exact_limit
from brian_snn.network.records import INPUT, Population, Projection
from brian_snn.network.roles import float_type, has_spikes, window_start
from brian_snn.randomness import Stream
from brian_snn.simulation.job import Job

#: The folder, as the program calls it.
MODEL = "model"

#: What an output means, by the numbers that the program knows.
_MEANINGS: dict[Meaning, int] = {"numbers": 0, "classes": 1, "yes_no": 2}


def write_model(folder: Path, job: Job) -> None:
    """Write all that a program reads before its first image into an empty folder."""
    network, parameters = job.network, job.parameters
    arguments = write_parameters(folder, job.layout, job.constants, Path(MODEL))
    (folder / "parameters.txt").write_text("".join(f"{argument}\n" for argument in arguments), "utf-8")
    names = [f"{k} {shown(repr(population.name))}\n" for k, population in enumerate(network.populations)]
    (folder / "names.txt").write_text("".join(names), "utf-8")
    positions = {population.name: k for k, population in enumerate(network.populations)}
    heaviest, row = parameters.heaviest_row
    low, high = network.calibration_range or (0.0, 0.0)
    maps = [p for p in parameters.network.projections if p.source == INPUT]
    heads = network.heads or ((network.output.name, network.output_activation),)
    lines: list[Iterable[float]] = [
        (job.settings.steps, network.grid),
        (network.calibration_range is not None, low, high),
        (positions.get(heaviest, -1), row),
        _shape(network.input_shape),
        (len(network.populations),),
        *(_population(folder, k, population, job) for k, population in enumerate(network.populations)),
        (sum(neuron.stream is not None for neuron in job.neurons),),
        *(_stream(k, neuron.stream) for k, neuron in enumerate(job.neurons) if neuron.stream is not None),
        (len(heads),),
        *(_output(folder, positions[name], kind, job) for name, kind in heads),
        (len(maps),),
        *(_map(folder, k, projection, positions[projection.target]) for k, projection in enumerate(maps)),
    ]
    text = "".join(" ".join(map(_number, line)) + "\n" for line in lines)
    (folder / "model.txt").write_text(text, "utf-8")


def _number(value: float) -> str:
    """Return a whole number or a flag as a whole number, any other with all its digits."""
    return str(int(value)) if isinstance(value, int) else repr(float(value))


def _shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (len(shape), *shape)


def _population(folder: Path, position: int, population: Population, job: Job) -> Iterable[float]:
    """Return what bounds the charge of a neuron, and write the bias of a population that sees the image."""
    limit = exact_limit(population, job.settings, job.network.grid)
    bits = np.finfo(float_type(population, job.settings)).nmant + 1
    sees_image = job.layout.layers[position].sees_image
    if sees_image:
        write_array(folder / f"bias_{position}.bin", job.constants.bias[position])
    start, drive = job.constants.v_init[position], float(job.drives[population.name])
    reversal = job.reversals.get(population.name, 0.0)
    return (*_shape(population.shape), start, drive, reversal, limit, int(bits), sees_image)


def _stream(position: int, stream: Stream) -> Iterable[float]:
    """Return what the random numbers of a population are drawn from, but for the number of the image."""
    before, behind = stream.words()
    return (position, len(before), *before, len(behind), *behind)


def _output(folder: Path, position: int, activation: str, job: Job) -> Iterable[float]:
    """Return what makes logits of the counts or potentials of an output, and write its scale."""
    population, settings = job.network.populations[position], job.settings
    scale = np.atleast_1d(np.asarray(population.scale, np.float64))
    write_array(folder / f"scale_{position}.bin", np.ascontiguousarray(scale))
    n_steps = settings.steps - window_start(population, settings)
    meaning = _MEANINGS[answer_to(activation, population.shape).meaning]
    return (position, meaning, has_spikes(population, settings), n_steps, job.constants.thresholds[position])


def _map(folder: Path, number: int, projection: Projection, target: int) -> Iterable[float]:
    """Return a map from the image as a grouped convolution, and write its arrays."""
    geometry, shape = projection.geometry, grouped(projection.geometry)
    assert projection.weights is not None, "a maximum is taken of spikes, and the image has none"
    arrays = {"weights": projection.weights, "sources": projection.source_index, "targets": projection.target_index}
    for name, values in arrays.items():
        if values is not None:
            write_array(folder / f"map_{number}_{name}.bin", np.ascontiguousarray(values))
    (top, _), (left, _) = geometry.padding
    windows = (*geometry.kernel_size, *geometry.strides, *geometry.dilation, top, left)
    indexed = (projection.source_index is not None, projection.target_index is not None)
    average = geometry.kind == "average_pool"
    return (target, *shape.input_shape, *shape.output_shape, shape.groups, *windows, average, *indexed)
