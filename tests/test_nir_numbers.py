"""NIR files: what float32 keeps of numbers, and which axes an image has."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brian_snn import read_nir, write_nir
from brian_snn.__main__ import main
from brian_snn.exchange.nir_time import Time
from tests.nir_files import cnn, neurons, write


@given(beta=st.floats(0.5, 1 - 2.0**-20, width=32), dt=st.sampled_from([1e-4, 1e-3, 1.0]))
def test_a_beta_in_single_precision_comes_back(beta, dt):
    # As snntorch writes it: tau and r in float32.
    beta = np.float32(beta)
    tau = np.float32(dt) / (np.float32(1) - beta)
    gain, leak = Time(dt, "euler", "scaled").gain_and_leak("node", np.asarray(tau / np.float32(dt)), float(tau), True)
    assert leak == 1 - float(beta) and gain == 1
    # Of one in double precision nothing is taken off.
    assert Time(dt, "euler", "one").gain_and_leak("node", np.ones(1), float(tau))[1] == dt / float(tau)


@pytest.mark.parametrize(
    ("kind", "weight", "shape"),
    [("Linear", (4, 6), (1, 6)), ("Conv1d", (2, 3, 2), (1, 3, 6)), ("Linear", (4, 1), (1,))],
)
def test_an_axis_of_the_images_is_left_out(tmp_path, kind, weight, shape):
    window = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": np.zeros(2, np.float32)}
    fields = {"weight": np.ones(weight, np.float32), **(window if kind == "Conv1d" else {})}
    ends = (2, 5) if kind == "Conv1d" else (4,)
    nodes = {
        "input": ("Input", {"shape": np.array(shape)}),
        "map": (kind, fields),
        "if": neurons(ends),
        "output": ("Output", {"shape": np.array(ends)}),
    }
    network = read_nir(write(tmp_path / "net.nir", nodes, list(pairwise(nodes))))
    assert network.input_shape == (shape[1:] or shape)


def test_weights_that_float32_rounds_are_counted(tmp_path, capsys):
    plain = cnn()
    biases = np.array([1 + 2.0**-24, 0.5 + 2.0**-24, 3 - 2.0**-24, 0.25, 0.0, 1.0, 2.0])[: plain["dense"].size]
    long = [replace(p, bias=biases) if p.name == "dense" else p for p in plain.populations]
    network = replace(plain, populations=tuple(long))
    assert write_nir(plain, tmp_path / "plain.nir") == 0
    assert write_nir(network, tmp_path / "net.nir") == int((np.float32(biases) != biases).sum()) == 2
    assert write_nir(network, tmp_path / "short.nir", weight_grid=2.0**-20) == 0
    network.save(tmp_path / "net.npz")
    assert main(["export", f"{tmp_path}/net.npz", "-o", f"{tmp_path}/told.nir"]) == 0
    assert "2 weights need more bits than float32 has" in capsys.readouterr().out
