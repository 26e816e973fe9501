"""SNN toolbox: the ANN as a Keras model, converted, normalised and simulated by the toolbox's own pipeline.

The toolbox reads a configuration and files, runs, and prints. Its simulator's method `simulate`, which gets one batch
after the other, is timed from outside; the first batch is not counted, since code is generated and compiled in it.
"""

from __future__ import annotations

import configparser
import os
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from exchange import Layer, Workload, parser, plain_layers, read_workload, write_measured
from snntoolbox.bin.utils import import_target_sim, run_pipeline, update_setup
from snntoolbox.simulation import utils as toolbox_utils
from tensorflow.keras import layers as keras_layers

#: As the simulators are called in the toolbox's configuration.
BACKENDS = ("INI", "brian2")


def build_keras(layers: list[Layer]) -> tf.keras.Model:
    """Return the ANN, its weights set."""
    model = tf.keras.Sequential([tf.keras.Input(input_shape(layers))])
    for layer in plain_layers(layers):
        size, strides = tuple(layer.kernel_size), tuple(layer.strides)
        padding = "same" if np.any(layer.padding) else "valid"
        activation = "softmax" if layer.neurons == "readout" else "relu"
        if layer.map == "conv2d":
            model.add(keras_layers.Conv2D(layer.output_shape[2], size, strides, padding, activation=activation))
        elif layer.map == "dense":
            # A model without layers has no output shape yet; its image is flat.
            if model.layers and len(model.output_shape) > 2:
                model.add(keras_layers.Flatten())
            model.add(keras_layers.Dense(layer.output_shape[-1], activation=activation))
        else:
            pool = keras_layers.MaxPooling2D if layer.map == "max_pool" else keras_layers.AveragePooling2D
            model.add(pool(size, strides, padding))
        if layer.bias is not None and layer.map in ("conv2d", "dense"):
            model.layers[-1].set_weights([layer.weights, layer.bias])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def input_shape(layers: list[Layer]) -> tuple[int, ...]:
    """Return the shape of an image: flat for a dense first layer, since the toolbox cannot flatten the image itself."""
    return (int(np.prod(layers[0].input_shape)),) if layers[0].map == "dense" else tuple(layers[0].input_shape)


def configuration(folder: Path, backend: str, batch: int, n_images: int, steps: int) -> Any:
    """Write the toolbox's configuration and return it as the toolbox completes it."""
    settings = configparser.ConfigParser()
    paths = {"path_wd": folder, "dataset_path": folder, "log_dir_of_current_run": folder / "log"}
    names = {"filename_ann": "ann", "filename_parsed_model": "parsed", "filename_snn": "snn"}
    settings["paths"] = {key: str(value) for key, value in (paths | names).items()}
    settings["tools"] = {"evaluate_ann": "False"}
    # Its Brian2 simulator has neurons that spike in the output layer only if they are not softmax.
    settings["conversion"] = {"softmax_to_relu": "True"}
    numbers = {"duration": steps, "num_to_test": n_images, "batch_size": batch}
    settings["simulation"] = {"simulator": backend} | {key: str(value) for key, value in numbers.items()}
    settings["output"] = {"verbose": "0"}
    path = folder / "config.ini"
    with path.open("w", encoding="utf-8") as file:
        settings.write(file)
    return update_setup(str(path))


def write_data(workload: Workload, n_images: int, folder: Path) -> None:
    """Write images, one-hot labels and calibration images as the toolbox reads them; images repeat if there are few."""
    chosen, shape = np.arange(n_images) % len(workload.images), (-1, *input_shape(workload.layers))
    np.savez(folder / "x_test.npz", workload.images[chosen].astype(np.float32).reshape(shape))
    np.savez(folder / "y_test.npz", np.eye(10, dtype=np.float32)[workload.labels[chosen]])
    np.savez(folder / "x_norm.npz", workload.calibration.astype(np.float32).reshape(shape))


def flipped(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel turned by 180 degrees, as the toolbox's own function does with a NumPy before 1.23."""
    return np.ascontiguousarray(kernel[::-1, ::-1])


def run(workload: Workload, backend: str, batch: int, n_images: int) -> dict[str, Any]:
    """Run the pipeline on a batch to warm up and the images after it; return the measurement."""
    batches: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_all = batch * (1 + max(1, n_images // batch))
        write_data(workload, n_all, folder)
        build_keras(workload.layers).save(folder / "ann.h5")
        config = configuration(folder, backend, batch, n_all, workload.steps)
        simulator = import_target_sim(config).SNN
        simulate = simulator.simulate

        def timed(*arguments: Any, **named: Any) -> Any:
            start, processor_start = time.perf_counter(), time.process_time()
            result = simulate(*arguments, **named)
            batches.append((time.perf_counter() - start, time.process_time() - processor_start))
            return result

        simulator.simulate = timed
        try:
            (accuracy,) = run_pipeline(config)
        finally:
            simulator.simulate = simulate
    seconds, processor_seconds = np.mean(batches[1:], axis=0) / batch
    measured = {"batch": batch, "images": n_all - batch, "seconds": float(seconds)}
    return measured | {"processor_seconds": float(processor_seconds), "accuracy": float(np.ravel(accuracy)[0])}


def main() -> None:
    """Convert and time with every batch size."""
    options = parser(__doc__)
    options.add_argument("--backend", choices=BACKENDS, required=True)
    chosen = options.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(chosen.threads)
    tf.config.threading.set_inter_op_parallelism_threads(chosen.threads)
    # The toolbox indexes with a list of slices, which no NumPy for Python 3.11 takes any more.
    toolbox_utils.convert_kernel = flipped
    workload = read_workload(chosen.workload)
    n_images = 1 if chosen.brief else chosen.images
    runs = [run(workload, chosen.backend, batch, n_images) for batch in chosen.batches]
    names = ("snntoolbox", "tensorflow", "brian2", "cython")
    write_measured(chosen.output, runs, {name: version(name) for name in names})


if __name__ == "__main__":
    main()
