"""Confusions against a count, pair by pair; choices over time against runs that end there."""

from collections import Counter

import numpy as np
import pytest

from brian_snn import simulate
from brian_snn.analysis.classification import choices_over_time, confusion_matrix, confusions
from tests.small_network import small_images, small_network

LABELS = np.array([3, 3, 0, 7, 7, 7, 0, 3])
PREDICTIONS = np.array([3, 0, 0, 9, 9, 3, 0, 0])


def test_entries_are_counts_of_pairs():
    matrix, pairs = (
        confusion_matrix(LABELS, PREDICTIONS),
        Counter(zip(LABELS.tolist(), PREDICTIONS.tolist(), strict=True)),
    )
    assert matrix.index.tolist() == matrix.columns.tolist() == [0, 3, 7, 9]
    assert {(t, p): matrix.loc[t, p] for t in matrix.index for p in matrix.columns if matrix.loc[t, p]} == pairs
    assert matrix.to_numpy().sum() == len(LABELS)


def test_mistakes_are_listed_most_frequent_first():
    table = confusions(confusion_matrix(LABELS, PREDICTIONS))
    assert table.to_numpy().tolist() == [[3, 0, 2], [7, 9, 2], [7, 3, 1]]


def test_without_mistakes_the_list_is_empty():
    assert confusions(confusion_matrix(LABELS, LABELS)).empty


@pytest.mark.parametrize("checkpoints", [(), (3, 7), (3, 20)])
def test_choices_end_in_the_predictions(checkpoints):
    network, images = small_network(), small_images()
    options = {"backend": "runtime", "readout": "spikes", "checkpoints": checkpoints}
    choices = choices_over_time(simulate(network, images, steps=20, **options))
    assert choices.shape == (len(checkpoints), len(images))
    for step, chosen in zip(checkpoints, choices, strict=True):
        until_then = simulate(network, images, steps=step, **options | {"checkpoints": ()})
        counts = until_then.spike_counts[network.output.name].reshape(len(images), -1)
        expected = until_then.predictions if step == 20 else counts.argmax(axis=1)
        assert chosen.tolist() == expected.tolist()


def test_a_tie_goes_to_the_higher_potential_at_the_end_only():
    result = simulate(
        small_network(), small_images(1), steps=4, backend="runtime", readout="spikes", checkpoints=(2, 4)
    )
    name = result.network.output.name
    result.output_history[:] = 0
    result.spike_counts[name][:] = 0
    result.potentials[name][:] = 0
    result.potentials[name][0, -1] = 0.5
    last = result.potentials[name].shape[1] - 1
    assert choices_over_time(result).tolist() == [[0], [last]]
