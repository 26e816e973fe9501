"""Files of Keras 2 with what Keras 2 computed, and older layouts of them made by editing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from brian_snn.conversion.fold import fold
from brian_snn.frontends.keras.files import load_model
from brian_snn.frontends.keras.reader import read_model
from brian_snn.frontends.table import scores_of
from brian_snn.inputs import by_input
from brian_snn.network.forward import forward

FOLDER = Path(__file__).parent / "data" / "keras2"
FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".h5", ".keras"))


def assert_computes_the_same(path, name, tolerance=1e-5):
    """Compare what the model in a file computes, in Keras 3 and as a network, with what Keras 2 computed.

    Keras 3 does what Keras 2 did, up to the order of its sums; in half precision a sum depends on the processor too.
    """
    with np.load(FOLDER / f"{name}.npz") as arrays:
        images, expected = arrays["images"], arrays["outputs"]
    model = load_model(path)
    allowed = tolerance * np.abs(expected).max()
    by_keras = allowed if tolerance > 1e-5 else 1e-6 * np.abs(expected).max()
    np.testing.assert_allclose(scores_of(model, images), expected, rtol=0, atol=by_keras)
    network = fold(read_model(model))
    values = forward(network, by_input(images, network.inputs) if network.inputs else images)
    heads = network.heads or [(network.output.name, network.output_activation)]
    found = [softmax(values[head]) if kind == "softmax" else values[head] for head, kind in heads]
    if network.heads:
        found = [np.concatenate([head.reshape(len(images), -1) for head in found], axis=1)]
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=allowed)


def softmax(logits):
    """Return probabilities."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def edited(name, folder, *changes):
    """Return a copy of an .h5 file of which every object in the configuration went through the changes, the innermost
    first.
    """
    import h5py

    copy = Path(shutil.copy(FOLDER / name, folder))

    def changed(part):
        if isinstance(part, list):
            return [changed(value) for value in part]
        if not isinstance(part, dict):
            return part
        part = {key: changed(value) for key, value in part.items()}
        for change in changes:
            part = change(part)
        return part

    with h5py.File(copy, "r+") as file:
        file.attrs["model_config"] = json.dumps(changed(json.loads(file.attrs["model_config"])))
    return copy
