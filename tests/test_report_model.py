"""The report with the Keras model that was converted, and with others, which are refused."""

import numpy as np
import pytest

import brian_snn
from brian_snn.__main__ import main
from brian_snn.errors import DataError
from brian_snn.network.forward import forward
from brian_snn.report import explained, gather, measured, provenance
from tests import models
from tests.report_reading import prose, table_of, texts


@pytest.fixture(scope="module")
def converted(tmp_path_factory, mlp_model):
    """Return a folder with a model, a wrong one of the same shape, and a run of the first."""
    folder = tmp_path_factory.mktemp("model")
    mlp_model.save(folder / "model.keras")
    models.mlp(seed=5).save(folder / "other.keras")
    images = models.images_for(mlp_model, 5)
    network = brian_snn.convert(folder / "model.keras", images)
    brian_snn.simulate(network, images, steps=12, backend="runtime", output=folder / "run")
    return folder


def test_rates_are_compared_with_keras(converted, mlp_model):
    run = gather.gather(converted / "run", converted / "model.keras")
    assert "those that Keras computes with model.keras" in prose(explained.rates(run))
    softmax = np.asarray(mlp_model(np.asarray(run.result.images, np.float32)))
    powers = np.exp(run.sample.activations["logits"])
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), softmax, rtol=1e-5)
    row = table_of(measured.answers(run), "Classes that").rows[2]
    assert row[0].text == "trained network (Keras), all 5 images"
    assert row[-1].value == np.mean(run.result.predictions == softmax.argmax(axis=1))
    assert texts(table_of(provenance.provenance(run), "SHA-256"), 0)[0] == "model file, model.keras"


def test_pixels_that_are_coded_as_spikes_are_their_own_activations(converted, tmp_path):
    network, images = brian_snn.load_network(converted / "run" / "network.npz"), np.full((2, 6), 0.5)
    brian_snn.simulate(network, images, steps=6, backend="runtime", input_coding="poisson", output=tmp_path / "run")
    activations = gather.gather(tmp_path / "run", converted / "model.keras").sample.activations
    np.testing.assert_array_equal(activations["input_spikes"], images)


def test_a_coarse_grid_is_not_taken_for_another_model(converted, mlp_model, tmp_path):
    images = models.images_for(mlp_model, 5)
    network = brian_snn.convert(converted / "model.keras", images, grid=2**-6)
    brian_snn.simulate(network, images, steps=12, backend="runtime", output=tmp_path / "run")
    sample = gather.gather(tmp_path / "run", converted / "model.keras").sample
    own = forward(network, images)["hidden"] * network["hidden"].scale
    difference = np.abs(own - sample.activations["hidden"]).max() / own.max()
    assert 1e-3 < difference < 1 / 16


def test_another_model_is_refused(converted, tmp_path, capsys):
    command = ["report", f"{converted}/run", "--model", f"{converted}/other.keras", "-o", f"{tmp_path}/page.html"]
    assert main(command) == 2
    assert "other.keras is not the model that was converted: in 'hidden'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_model_of_another_shape_is_refused(converted, cnn_model, tmp_path):
    cnn_model.save(tmp_path / "cnn.keras")
    with pytest.raises(DataError, match="cnn.keras takes images of shape"):
        gather.gather(converted / "run", tmp_path / "cnn.keras")
