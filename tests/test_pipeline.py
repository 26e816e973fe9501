"""Tests of the conversion as a whole: what `convert` checks, and what it writes down about itself."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from brian_snn.conversion.convert import convert
from brian_snn.conversion.normalise import Calibration
from brian_snn.errors import DataError, ModelError
from tests import models


@pytest.fixture(scope="module")
def images(cnn_model):
    return models.images_for(cnn_model, 40).astype(float)


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory, cnn_model):
    path = tmp_path_factory.mktemp("pipeline") / "cnn.keras"
    cnn_model.save(path)
    return path


def with_weights(network, index, change):
    """Return the network with the weights of one projection changed."""
    projection = network.projections[index]
    changed = replace(projection, weights=change(projection.weights))
    return replace(network, projections=(*network.projections[:index], changed, *network.projections[index + 1 :]))


def test_weights_and_biases_are_on_the_grid(cnn_model, images):
    network = convert(cnn_model, images, grid=2.0**-10)
    arrays = [p.weights for p in network.projections if p.weights is not None] + [p.bias for p in network.populations]
    for array in arrays:
        assert (array * 2**10 == np.round(array * 2**10)).all()


def test_a_network_does_not_depend_on_the_number_of_threads_that_multiply_its_matrices():
    import keras

    # Large enough for a BLAS to divide the sums otherwise between two threads than one does them.
    model = keras.Sequential(
        [keras.Input((1000,)), keras.layers.Dense(100, "relu", kernel_initializer=keras.initializers.GlorotNormal(0))]
    )
    images, networks = np.random.default_rng(0).random((300, 1000)), []
    for n_threads in (1, 2):
        with threadpool_limits(limits=n_threads, user_api="blas"):
            networks.append(convert(model, images, normalisation="channel"))
    one, two = (network.populations[0] for network in networks)
    assert (np.asarray(one.scale) == np.asarray(two.scale)).all()
    assert (one.bias == two.bias).all()


def test_a_file_gives_the_same_network_as_its_model(cnn_model, saved_model, images, tmp_path):
    np.savez(tmp_path / "x.npz", x_norm=images)
    networks = convert(cnn_model, images), convert(saved_model, images), convert(saved_model, tmp_path / "x.npz")
    for projections in zip(*(network.projections for network in networks), strict=True):
        first = projections[0].weights
        for other in projections[1:]:
            assert first is other.weights is None or (first == other.weights).all()


def test_provenance_holds_the_hash_of_the_file(saved_model, images):
    provenance = convert(str(saved_model), images).provenance
    assert provenance["file"] == "cnn.keras"
    assert provenance["sha256"] == hashlib.sha256(saved_model.read_bytes()).hexdigest()


def test_provenance_names_model_and_versions(cnn_model, images):
    import keras

    provenance = convert(cnn_model, images).provenance
    assert provenance["model"] == cnn_model.name
    assert (provenance["keras"], provenance["numpy"]) == (keras.__version__, np.__version__)


def test_the_model_is_left_as_it_was(cnn_model, images):
    before = [np.array(weight) for weight in cnn_model.get_weights()]
    convert(cnn_model, images)
    for old, new in zip(before, cnn_model.get_weights(), strict=True):
        assert (old == new).all()


@pytest.mark.parametrize("change", [lambda w: w * 1.001, lambda w: w * np.nan], ids=["slightly", "nan"])
def test_a_stage_that_changes_the_network_is_found_out(cnn_model, images, monkeypatch, change):
    # Only the last of forty images is not black: all of them must be compared.
    normalised = Calibration.normalised

    def spoilt(*arguments):
        return with_weights(normalised(*arguments), 0, change)

    monkeypatch.setattr(Calibration, "normalised", spoilt)
    dark = np.zeros_like(images)
    dark[-1] = images[-1]
    with pytest.raises(ModelError, match="'conv_a'"):
        convert(cnn_model, dark)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda x: x[:, :-1], "calibration images have shape"),
        (lambda x: x[:0], "empty"),
        (lambda x: np.where(x == x.max(), np.nan, x), "NaN|nan"),
    ],
    ids=["shape", "empty", "nan"],
)
def test_bad_calibration_images_are_refused(cnn_model, images, spoil, match):
    with pytest.raises(DataError, match=match):
        convert(cnn_model, spoil(images))
