"""Files that Keras 2 wrote, against what Keras 2 computed; `tests/data/make_keras2_models.py` made both."""

from pathlib import Path

import numpy as np
import pytest

from brian_snn.conversion.fold import fold
from brian_snn.conversion.forward import forward
from brian_snn.conversion.keras_files import load_model
from brian_snn.conversion.keras_legacy import is_legacy, modernised
from brian_snn.conversion.keras_reader import read_model

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def outputs():
    with np.load(DATA / "keras2_outputs.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("name", ["sequential", "functional"])
def test_a_keras_2_model_computes_what_keras_2_computed(outputs, name, suffix):
    network = fold(read_model(load_model(DATA / f"keras2_{name}.{suffix}")))
    images = outputs["images"] / (1 if name == "sequential" else 255)
    logits = forward(network, images)[network.output.name]
    if name == "sequential":
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        logits = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(logits, outputs[name], rtol=1e-5, atol=1e-5 * np.abs(outputs[name]).max())


def test_nodes_of_a_nested_model_are_counted_from_zero():
    config = {
        "layers": [
            {"name": "a", "inbound_nodes": []},
            {"name": "nested", "inbound_nodes": [[["a", 0, 0, {}]], [["a", 0, 0, {}]]]},
            {"name": "sum", "inbound_nodes": [[["nested", 1, 0, {}], ["nested", 2, 0, {}]]]},
        ],
        "output_layers": [["sum", 0, 0]],
    }
    assert modernised(config)["layers"][2]["inbound_nodes"] == [[["nested", 0, 0, {}], ["nested", 1, 0, {}]]]
    assert config["layers"][2]["inbound_nodes"] == [[["nested", 1, 0, {}], ["nested", 2, 0, {}]]]


@pytest.mark.parametrize(("version", "legacy"), [("2.15.0", True), ("1.2", True), ("", True), ("3.15.1", False)])
def test_versions_before_three_are_legacy(version, legacy):
    assert is_legacy(version) is legacy
