"""Write a small graph with nir itself: ``python make_plain.py FILE``, with nir 1.0.4 or 1.0.8."""

import sys
from itertools import pairwise

import nir
import numpy as np

rng, single = np.random.default_rng(0), np.float32
ones, shape = np.ones((4, 2, 2), single), (4, 4, 4)
nodes = {
    "input": nir.Input(np.array([1, 5, 5])),
    "conv": nir.Conv2d(
        input_shape=(5, 5),
        weight=rng.normal(size=(4, 1, 2, 2)).astype(single),
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=np.zeros(4, single),
    ),
    "if": nir.IF(r=np.ones(shape, single), v_threshold=np.ones(shape, single)),
    "pool": nir.AvgPool2d(kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0])),
    "lif": nir.LIF(tau=0.01 * ones, r=ones, v_leak=0 * ones, v_threshold=ones),
    "flat": nir.Flatten(start_dim=0, end_dim=-1, input_type={"input": np.array([4, 2, 2])}),
    "fc": nir.Affine(weight=rng.normal(size=(10, 16)).astype(single), bias=np.zeros(10, single)),
    "li": nir.LI(tau=np.full(10, 0.01, single), r=np.ones(10, single), v_leak=np.zeros(10, single)),
    "output": nir.Output(np.array([10])),
}
order = list(nodes)
nir.write(sys.argv[1], nir.NIRGraph(nodes=nodes, edges=list(pairwise(order))))
