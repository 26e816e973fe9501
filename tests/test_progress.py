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


@pytest.fixture(scope="module")
def network():
    return small_network()


def written(monkeypatch, network, on_terminal, how, delay_s=0.0):
    """Return what a simulation and its verification write on the standard error."""
    stream = Terminal() if on_terminal else io.StringIO()
    monkeypatch.setattr(progress, "_DELAY_S", delay_s)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", stream)
        result = simulate(network, small_images(2), steps=4, backend="runtime", progress=how)
        verify(result, replay=1, progress=how)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def bars_are_on(monkeypatch):
    """Forget what a command of an earlier test has set."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)


@pytest.mark.parametrize(("on_terminal", "how"), [(True, None), (True, True), (False, True)])
def test_bars_are_shown(monkeypatch, network, on_terminal, how):
    text = written(monkeypatch, network, on_terminal, how)
    assert "simulate: 100%" in text and "2/2" in text
    assert "replay: 100%" in text and "verify: 100%" in text


@pytest.mark.parametrize(("on_terminal", "how"), [(False, None), (True, False)])
def test_no_bars_are_shown(monkeypatch, network, on_terminal, how):
    assert written(monkeypatch, network, on_terminal, how) == ""


def test_the_environment_turns_off_what_nobody_asked_for(monkeypatch, network):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert written(monkeypatch, network, True, None) == ""
    assert "simulate: 100%" in written(monkeypatch, network, True, True)


def test_a_short_call_shows_none(monkeypatch, network):
    assert written(monkeypatch, network, True, True, delay_s=60.0) == ""


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
