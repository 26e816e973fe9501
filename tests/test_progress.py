"""Bars of long calls: for whoever looks, for whoever asks, and nobody else; a callable is called as before."""

import io

import numpy as np
import pytest

from brian_snn import convert, progress, simulate, verify
from tests.small_network import small_images, small_network


class Terminal(io.StringIO):
    """A standard error that somebody looks at."""

    def isatty(self):
        return True


@pytest.fixture
def written(request, monkeypatch):
    """Return what is written on the standard error while every bar is shown at once."""
    stream = Terminal() if request.param else io.StringIO()
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(progress, "_DELAY_S", 0.0)
    return stream


def run(how):
    """Simulate and verify."""
    result = simulate(small_network(), small_images(3), steps=4, backend="runtime", progress=how)
    verify(result, replay=1, progress=how)


@pytest.mark.parametrize(("written", "how"), [(True, None), (True, True), (False, True)], indirect=["written"])
def test_bars_are_shown(written, how):
    run(how)
    text = written.getvalue()
    assert "simulate: 100%" in text and "3/3" in text
    assert "replay: 100%" in text and "verify: 100%" in text


@pytest.mark.parametrize(("written", "how"), [(False, None), (True, False), (False, False)], indirect=["written"])
def test_no_bars_are_shown(written, how):
    run(how)
    assert written.getvalue() == ""


@pytest.mark.parametrize("written", [True], indirect=True)
def test_the_environment_turns_off_what_nobody_asked_for(written, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    run(None)
    assert written.getvalue() == ""
    run(True)
    assert "simulate: 100%" in written.getvalue()


@pytest.mark.parametrize("written", [True], indirect=True)
def test_a_short_call_shows_none(written, monkeypatch):
    monkeypatch.setattr(progress, "_DELAY_S", 60.0)
    run(True)
    assert written.getvalue() == ""


def test_a_callable_hears_of_every_stage(mlp_model):
    calls = []
    images = np.random.default_rng(3).uniform(size=(4, 6))
    network = convert(mlp_model, images, progress=lambda *pair: calls.append(pair))
    n_layers = len(network.populations)
    assert calls[:n_layers] == [(k + 1, n_layers) for k in range(n_layers)]
    n_batches = calls[-1][1]
    assert calls[n_layers:] == [(k + 1, n_batches) for k in range(n_batches)] and n_batches
    calls.clear()
    result = simulate(network, images, steps=5, backend="runtime", progress=lambda *pair: calls.append(pair))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    calls.clear()
    verify(result, replay=2, progress=lambda *pair: calls.append(pair))
    assert calls == [(2, 2), *((k + 1, n_layers) for k in range(n_layers))]
