"""What each Keras layer does, as operations of `brian_snn.frontends.layer_graph`: one small reader per class.

A reader takes a layer and the shapes of its inputs and returns the operations that it stands for, one after the other:
a convolution with a fused ReLU is two. A class that is not in `READERS` is an error, never a guess.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from brian_snn.errors import ModelError
from brian_snn.frontends.keras.activations import ACTIVATIONS, FUNCTIONS
from brian_snn.frontends.keras.hints import unsupported
from brian_snn.frontends.keras.moving import MERGING, MOVING, ORDERING
from brian_snn.frontends.keras.resizing import RESIZING
from brian_snn.frontends.keras.timed import read_timed
from brian_snn.frontends.keras.transposed import TRANSPOSED
from brian_snn.frontends.keras.values import Operations, Reader, Shape, plain
from brian_snn.frontends.keras.weighted import WEIGHTED


def read_layer(layer: Any, input_shapes: list[Shape], label: str) -> Operations:
    """Return the operations of a Keras layer (or of an operation such as ``x + y``).

    Parameters
    ----------
    layer : keras.layers.Layer or keras.Operation
        Never changed.
    input_shapes : list of tuple of int
        Without the batch axis.
    label : str
        The layer, for error messages.

    Raises
    ------
    ModelError
        If the layer cannot be converted, or if one of its weights is not finite.
    """
    class_name = type(layer).__name__
    table = READERS if hasattr(layer, "weights") else FUNCTION_READERS
    # A class of the user's own may have the name of one of Keras and do something else.
    module = type(layer).__module__
    if class_name not in table or not (module.startswith("keras.") or (module, class_name) in OWN_LAYERS):
        raise unsupported(label, class_name)
    if getattr(layer, "data_format", None) == "channels_first":
        raise ModelError(f"{label}: its data format is channels_first; build the model with channels_last.")
    if getattr(layer, "quantization_mode", None):
        kind = layer.quantization_mode
        raise ModelError(f"{label}: its weights are quantised ({kind}); give the model as it was before quantize().")
    operations = table[class_name](layer, input_shapes, label)
    for _, parameters in operations:
        for name, value in parameters.items():
            if isinstance(value, np.ndarray) and not np.all(np.isfinite(value)):
                raise ModelError(f"{label}: its {name} holds NaN or infinite numbers; load weights that are finite.")
    return operations


#: Layers besides those of ``keras.layers``: their modules and names. Keras' own InceptionResNetV2 adds up its branches
#: with the first.
OWN_LAYERS = (
    ("keras.src.applications.inception_resnet_v2", "CustomScaleLayer"),
    ("brian_snn.frontends.keras.clip_floor_shift", "ClipFloorShift"),
)

IDENTITIES = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
    "RandomFlip",
    "RandomRotation",
    "RandomZoom",
    "RandomTranslation",
    "RandomContrast",
    "RandomBrightness",
    "RandomShear",
)

#: Readers of layers, by class name. What is random in training does nothing in a trained model.
READERS: dict[str, Reader] = {
    **ACTIVATIONS,
    **WEIGHTED,
    **TRANSPOSED,
    **MOVING,
    **RESIZING,
    **MERGING,
    **dict.fromkeys(IDENTITIES, plain("identity")),
    "TimeDistributed": read_timed(read_layer),
}

#: Readers of operations that are no layers, such as ``x + y`` or ``keras.ops.relu(x)``.
FUNCTION_READERS: dict[str, Reader] = {**MERGING, **ORDERING, **FUNCTIONS}
