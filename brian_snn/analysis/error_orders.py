"""How far the terms of the error depend on the order in which their causes are taken: bounds over all orders.

What arrives from a source, what it does in another window (`moves`, d_s), and Phi, which cuts off what lies outside of
what a rate can express (`brian_snn.analysis.error_terms`), do not add up: behind Phi only a part of d_s passes. Take
the causes one after the other, each with what it changes at its turn. From Y, to which none has been added yet, a move
taken before Phi changes all of d_s, and one taken after it

    Phi(S + d_s) - Phi(S),    S = Y + the moves taken before it,

which lies between 0 and d_s, and is least at one of the ends of S, all falls or all rises before it: of an interval
that is shifted by S, the part within that of Phi grows at first, and then shrinks. So the two ends, and d_s, bound it
over all orders, and orders reach them. Phi itself changes Phi(X) - X, which falls with X.

The account takes Phi first for the targets (saturation) and all moves whole, and books the difference as ``clipped``,
which belongs to both. Of max pooling, the input that wins may be that of the largest target (the account), or that of
the largest rate.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_snn.arrays import FloatArray

#: By (term, source): the lowest and the highest value that an order gives a neuron.
Ranges = dict[tuple[str, str], tuple[FloatArray, FloatArray]]


def membrane_ranges(
    drive: FloatArray, most: float, moves: Mapping[tuple[str, str], FloatArray], terms: Mapping[str, FloatArray]
) -> Ranges:
    """Return the ranges of a population that integrates and fires.

    Parameters
    ----------
    drive : (n_images, size) float array
        Y, in units of r_max as all that follows.
    most : float
        The highest rate.
    moves : dict of (n_images, size) float array
        d by (term, source).
    terms : dict of (n_images, size) float array
        Those of the account: ``saturation`` and ``clipped`` are looked at.
    """

    def passed(x: FloatArray) -> FloatArray:
        return np.clip(x, 0.0, most)

    falls = sum((np.minimum(d, 0.0) for d in moves.values()), start=np.zeros(drive.shape))
    rises = sum((np.maximum(d, 0.0) for d in moves.values()), start=np.zeros(drive.shape))
    ranges: Ranges = {}
    for key, d in moves.items():
        starts = (drive + falls - np.minimum(d, 0.0), drive + rises - np.maximum(d, 0.0))
        changes = (d, *(passed(start + d) - passed(start) for start in starts))
        ranges[key] = (np.minimum.reduce(changes), np.maximum.reduce(changes))
    cut = [terms["saturation"] + passed(x) - x - (passed(drive) - drive) for x in (drive + rises, drive + falls)]
    ranges["saturation", ""] = (cut[0], cut[1])
    ranges["clipped", ""] = (np.minimum(terms["clipped"], 0.0), np.maximum(terms["clipped"], 0.0))
    return ranges


def either(one: FloatArray, other: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the range of a term that has one value or another."""
    return np.minimum(one, other), np.maximum(one, other)
