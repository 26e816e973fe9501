"""N and V(T) of constant input, solved for, against the loop of Eq. (4) with ``==``."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brian_snn.analysis.closed_forms import constant_input, first_spike


def loop(z, n_steps, v_init, threshold, reset):
    """Return N and V(T) of one neuron, step by step."""
    v, counts = v_init, 0
    for _ in range(n_steps):
        v += z
        if v >= threshold:
            counts += 1
            v = 0.0 if reset == "zero" else v - threshold
    return counts, v


@st.composite
def dyadic(draw, low, high):
    """Draw a multiple of 2**-24, or of a coarser power of two, so that thresholds are met exactly."""
    bits = draw(st.sampled_from([1, 3, 8, 24]))
    return draw(st.integers(int(low * 2**bits), int(high * 2**bits))) / 2**bits


@pytest.mark.parametrize("reset", ["subtraction", "zero"])
@given(z=dyadic(-3, 3), n_steps=st.integers(1, 80), v_init=dyadic(-4, 4), threshold=dyadic(0, 3))
@example(z=1.0, n_steps=5, v_init=0.0, threshold=1.0)
@example(z=2.0, n_steps=9, v_init=-4.0, threshold=1.0)
@example(z=-0.125, n_steps=9, v_init=2.5, threshold=1.0)
@example(z=0.0, n_steps=9, v_init=1.0, threshold=1.0)
@example(z=2.0**-24, n_steps=80, v_init=1 - 2.0**-22, threshold=1.0)
def test_count_and_potential_are_those_of_the_loop(reset, z, n_steps, v_init, threshold):
    threshold = threshold or 2.0**-24
    counts, v_end = constant_input(np.array([z]), n_steps, v_init, threshold, reset)
    assert (counts[0], v_end[0]) == loop(z, n_steps, v_init, threshold, reset)


def test_ten_times_a_tenth_on_the_grid_is_what_it_is():
    """In decimals 0.1 reaches 1 after 10 steps; the multiple of 2**-24 next to it is above it, so it does too."""
    z = round(0.1 * 2**24) / 2**24
    assert first_spike(np.array([z]), 0.0, 1.0) == 10


def test_silence_is_never():
    assert first_spike(np.array([0.0, -1.0]), 0.0, 1.0).tolist() == [np.inf, np.inf]
