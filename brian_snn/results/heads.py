"""What the outputs of a network come to: logits from spikes or potentials, what they mean, one output or several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray, IntArray
from brian_snn.network.output import activated, answer_to
from brian_snn.network.records import Population
from brian_snn.network.roles import window_start
from brian_snn.settings import Settings


@dataclass(frozen=True, eq=False)
class Head:
    """What was measured of one output.

    Parameters
    ----------
    logits : (n_images, *shape) float array
        The estimated output before its activation.
    outputs : (n_images, *shape) float array
        The estimated output.
    predictions : int array, or None
        As `Result.predictions`.
    """

    logits: FloatArray
    outputs: FloatArray
    predictions: IntArray | None


def head_of(kind: str, logits: FloatArray, potentials: FloatArray) -> Head:
    """Return what was measured of an output that is put through an activation; potentials break ties."""
    answer = answer_to(kind, logits.shape[1:])
    predictions = answer.of(logits, potentials) if answer.names_classes else None
    return Head(logits, activated("linear" if kind == "hidden" else kind, logits), predictions)


def estimate_logits(
    output: Population,
    settings: Settings,
    v_init: float,
    threshold: float,
    step: int,
    spike_counts: NDArray[np.generic] | None,
    potentials: NDArray[np.generic] | None,
) -> FloatArray:
    """Return the ANN's output as estimated after `step` steps, of the shape of the counts or potentials."""
    measured = spike_counts if spike_counts is not None else potentials
    assert measured is not None, "an output neither spikes nor integrates"
    n_steps = step - window_start(output, settings)
    if n_steps <= 0:
        return np.zeros(np.shape(measured))
    if spike_counts is not None:
        return np.asarray(spike_counts, np.float64) / n_steps * output.scale
    return (np.asarray(potentials, np.float64) - v_init) / (threshold * n_steps)
