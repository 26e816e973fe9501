"""The front end for Keras, as the table of front ends has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray, side_by_side
from brian_snn.frontends.keras.files import import_keras, load_model
from brian_snn.frontends.keras.maps import keras_projection
from brian_snn.frontends.keras.open_shapes import of_shape
from brian_snn.frontends.keras.reader import read_layers
from brian_snn.frontends.keras.reference import reference_batches
from brian_snn.frontends.keras.walk import inputs_of
from brian_snn.frontends.table import FrontEnd
from brian_snn.inputs import by_input


def _scores(model: Any, images: NDArray[np.generic]) -> FloatArray:
    """Return the model's own outputs; several as one vector."""
    inputs, given = inputs_of(model), np.asarray(images)
    if len(inputs) > 1:
        given = import_keras().tree.pack_sequence_as(model._inputs_struct, list(by_input(given, inputs).values()))
    keras = import_keras()
    outputs = keras.tree.flatten(model.predict(given, batch_size=500, verbose=0))
    return side_by_side([np.asarray(values, np.float64) for values in outputs])


FRONT_END = FrontEnd(
    name="Keras",
    packages=("keras", "tensorflow"),
    load=load_model,
    read=read_layers,
    references=reference_batches,
    scores=_scores,
    of_shape=of_shape,
    projection_map=keras_projection,
)
