"""Leaky ReLUs: two populations, of which one fires for what is above zero and the other for what is below.

LeakyReLU(x) = ReLU(x) - slope ReLU(-x), and the next layer's weights take the slope in. Each of the two is a population
like any other, with the rate law and the books of its neurons.
"""

from __future__ import annotations

import numpy as np

from brian_snn.conversion.affine import Value, scale_shift
from brian_snn.conversion.drafting import Draft, Folding, population_terms, rectify


def fold_leaky(folding: Folding, position: int) -> Value:
    """Fold a leaky ReLU, its slopes of a shape that broadcasts to that of the tensor."""
    node, (value,) = folding.graph.nodes[position], folding.inputs(position)
    slope, zero = np.asarray(node.parameters["slope"], np.float64), np.zeros(())
    if value.is_nonnegative or not slope.any():
        return rectify(folding, position, value, None)
    above = rectify(folding, position, value, None)
    turned = scale_shift(value, np.asarray(-1.0), zero, node.label)
    below = Draft(
        folding.unique_name(f"{above.views[0].sender}_below"),
        "spiking",
        value.shape,
        population_terms(turned),
        turned.bias,
        None,
        None,
        (),
        position,
    )
    leaked = scale_shift(folding.add(below), -slope, zero, node.label)
    return Value(value.shape, above.terms + leaked.terms, scaling_layer=node.label)
