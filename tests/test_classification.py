"""Confusions against a count, pair by pair."""

from collections import Counter

import numpy as np

from brian_snn.analysis.classification import confusion_matrix, confusions

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
