"""SNN toolbox: the ANN as a Keras model, through the toolbox's own pipeline to its simulators INI and Brian2.

Its own normalisation is off, so that the weights are those of the network; its average pooling spikes.
"""

from __future__ import annotations

import configparser
import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from exchange import Layer, Workload, parser, read_workload, write_run
from snntoolbox.bin.utils import import_target_sim, run_pipeline, update_setup
from snntoolbox.simulation import utils as toolbox_utils
from tensorflow.keras import layers as keras_layers

BACKENDS = ("INI", "brian2")


def build_keras(layers: list[Layer], shape: tuple[int, ...]) -> tf.keras.Model:
    """Return the ANN, its weights set."""
    model = tf.keras.Sequential([tf.keras.Input(shape)])
    for layer in layers:
        size, strides = tuple(layer.size), tuple(layer.strides)
        if layer.map == "conv2d":
            model.add(keras_layers.Conv2D(layer.shape[2], size, strides, activation="relu"))
        elif layer.map == "dense":
            if len(model.output_shape) > 2:
                model.add(keras_layers.Flatten())
            model.add(keras_layers.Dense(layer.shape[0], activation="relu"))
        else:
            model.add(keras_layers.AveragePooling2D(size, strides))
        if layer.weights is not None:
            model.layers[-1].set_weights([layer.weights, layer.bias])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def configuration(folder: Path, backend: str, n_images: int, steps: int) -> Any:
    """Write the toolbox's configuration and return it as the toolbox completes it."""
    settings = configparser.ConfigParser()
    paths = {"path_wd": folder, "dataset_path": folder, "log_dir_of_current_run": folder / "log"}
    names = {"filename_ann": "ann", "filename_parsed_model": "parsed", "filename_snn": "snn"}
    settings["paths"] = {key: str(value) for key, value in (paths | names).items()}
    settings["tools"] = {"evaluate_ann": "False", "normalize": "False"}
    numbers = {"duration": steps, "num_to_test": n_images, "batch_size": 1}
    settings["simulation"] = {"simulator": backend} | {key: str(value) for key, value in numbers.items()}
    settings["output"] = {"verbose": "0", "log_vars": "{'spiketrains_n_b_l_t'}"}
    path = folder / "config.ini"
    with path.open("w", encoding="utf-8") as file:
        settings.write(file)
    return update_setup(str(path))


def flipped(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel turned by 180 degrees, as the toolbox's own function does with a NumPy before 1.23."""
    return np.ascontiguousarray(kernel[::-1, ::-1])


def run(workload: Workload, backend: str) -> dict[str, np.ndarray]:
    """Run the pipeline image by image and return the spikes of every layer of neurons, averages included."""
    images, kept = workload.images, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "x_test.npz", images)
        np.savez(folder / "y_test.npz", np.eye(workload.layers[-1].shape[0], dtype=np.float32)[[0] * len(images)])
        build_keras(workload.layers, images.shape[1:]).save(folder / "ann.h5")
        config = configuration(folder, backend, len(images), workload.steps)
        simulator = import_target_sim(config).SNN
        simulate = simulator.simulate

        def simulate_and_keep(self: Any, *arguments: Any, **named: Any) -> Any:
            result = simulate(self, *arguments, **named)
            kept.append([np.array(trains) for trains, _ in self.spiketrains_n_b_l_t])
            return result

        simulator.simulate = simulate_and_keep
        try:
            run_pipeline(config)
        finally:
            simulator.simulate = simulate
    # The time of a spike stands where there is one; steps are the last axis.
    trains = [np.concatenate([image[k] for image in kept]) for k in range(len(kept[0]))]
    return {
        layer.name: np.moveaxis((train > 0).astype(np.int32), -1, 1).reshape(len(images), workload.steps, *layer.shape)
        for layer, train in zip(workload.layers, trains, strict=True)
    }


def main() -> None:
    """Convert and run."""
    chosen = parser(__doc__, BACKENDS).parse_args()
    # The toolbox indexes with a list of slices, which no NumPy for Python 3.11 takes any more.
    toolbox_utils.convert_kernel = flipped
    names = ("snntoolbox", "tensorflow", "brian2")
    spikes = run(read_workload(chosen.workload), chosen.variant)
    write_run(chosen.output, spikes, {name: version(name) for name in names})


if __name__ == "__main__":
    main()
