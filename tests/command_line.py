"""A folder for the commands to work on."""

import numpy as np

from brian_snn.__main__ import main
from tests import models


def fill(folder, model):
    """Put a model, its data, its network and a result into a folder."""
    model.save(folder / "model.keras")
    images = models.images_for(model, 12)
    labels = np.asarray(model(images)).argmax(axis=1)
    np.savez(folder / "x.npz", x_norm=images, x_test=images, y_test=labels)
    assert main(["convert", f"{folder}/model.keras", "--data", f"{folder}/x.npz", "-o", f"{folder}/net.npz"]) == 0
    assert main([*simulate_command(folder), "-o", f"{folder}/run"]) == 0


def simulate_command(folder):
    """Return a short simulation without its output."""
    options = ["--steps", "30", "--backend", "runtime"]
    return ["simulate", f"{folder}/net.npz", "--data", f"{folder}/x.npz", *options]
