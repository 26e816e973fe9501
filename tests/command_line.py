"""A folder for the commands to work on, and what they leave behind when they fail."""

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


def fails_cleanly(capsys, arguments, output):
    """Run a command that must fail: exit code 2, one line on the standard error, no output; return the line."""
    siblings = set(output.parent.iterdir()) if output.parent.is_dir() else set()
    assert main([str(argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("brian-snn: error: ")
    assert error.count("\n") == 1
    assert (set(output.parent.iterdir()) if output.parent.is_dir() else set()) == siblings
    return error
