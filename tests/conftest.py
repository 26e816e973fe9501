"""Fixtures of all tests: seeded randomness, tiny Keras models, a private build cache, a clean Brian2 device."""

import gc
import os

import numpy as np
import pytest

from tests import models
from tests.nightly import is_nightly

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the tests that `tests.nightly` lists."""
    for item in items:
        if is_nightly(item.nodeid):
            item.add_marker("nightly")


@pytest.fixture(scope="session", autouse=True)
def build_cache(tmp_path_factory, worker_id):
    """Point the cache of compiled networks at a folder of this session, which all its processes share; return it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "builds"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRIAN_SNN_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_build(build_cache):
    """Return the folder of a build of one neuron, `tests.simulation_cases.LAYOUT`."""
    from brian_snn.backends.build_cache import get_build
    from tests.simulation_cases import LAYOUT

    return get_build(LAYOUT).folder


@pytest.fixture(scope="session", autouse=True)
def statements_made_anew():
    """Let Brian2 make its statements anew: the key under which it keeps them takes longer, a quarter of a short run."""
    from brian2.codegen import translation
    from brian2.codegen.generators import base

    with pytest.MonkeyPatch.context() as patch:
        uncached = translation.make_statements.__wrapped__
        for module in (translation, base):
            patch.setattr(module, "make_statements", uncached)
        yield


@pytest.fixture(scope="module", autouse=True)
def few_objects_to_look_through():
    """Leave what was there before out of garbage collections: Brian2 asks for one before every run."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def default_device():
    """Give every test Brian2's runtime device with NumPy code, whatever the one before it left behind."""
    import brian2
    from brian2.devices.device import runtime_device

    # Brian2's own choice, Cython, compiles every object of a script anew.
    brian2.prefs.codegen.target = "numpy"
    yield
    if brian2.get_device() is not runtime_device:
        brian2.device.reinit()
        brian2.set_device("runtime")
    brian2.start_scope()


@pytest.fixture
def rng():
    """Return a seeded generator."""
    return np.random.default_rng(20170707)


@pytest.fixture(scope="session")
def mlp_model():
    """Return a multilayer perceptron of 6-9-7-4 neurons."""
    return models.mlp()


@pytest.fixture(scope="session")
def cnn_model():
    """Return a small CNN with both kinds of pooling."""
    return models.odd_pooling()


@pytest.fixture(scope="session")
def cli_folder(tmp_path_factory, mlp_model):
    """Return a folder with a model of 6-9-7-4 neurons, its data, its network and a result."""
    # What it imports must not be loaded before the environment is set.
    from tests import command_line

    folder = tmp_path_factory.mktemp("cli")
    command_line.fill(folder, mlp_model)
    return folder
