"""What to tell whoever has a layer that cannot be converted: a sentence for each kind of layer."""

from __future__ import annotations

import re

from brian_snn.errors import ModelError

_NO_READER = "layers of this class cannot be converted; write it with others, or a reader for it (docs/extending.md)."

#: What to say, by the names of classes (regular expressions); the first that fits counts.
_HINTS = {
    r"\w*(LSTM|GRU|RNN)\w*|Bidirectional": "recurrent layers have no rate-coded form; only feed-forward models can be "
    "converted.",
    r"ELU": "it has no rate-coded form; replace it by ReLU, or by LeakyReLU, and retrain.",
    r"ThresholdedReLU|Threshold": "its value jumps at its threshold, and firing rates change without jumps with the "
    "input; replace it by ReLU and retrain.",
    r"\w*Attention": "it multiplies activations with one another, which no weights do; it has no rate-coded form.",
    r"Multiply|Dot|Maximum|Minimum": "it multiplies or compares activations, which no weights do; add them instead.",
    r"BatchNormalization\w*": "it normalises as no reader knows it; write it as a BatchNormalization of Keras 3.",
    r"\w+Normalization": "it divides by a statistic of each image, which no weights do; train with BatchNormalization.",
    r"\w*Embedding|\w+Lookup|Text\w+|Category\w+|Hash\w+|Discretization|Masking": "it takes words or categories and "
    "cannot be converted; models of numbers, such as images, can.",
    r"\w+3D(Transpose)?": "layers over three axes cannot be converted; those over one or two can.",
    r"Adaptive\w+": "its windows differ in size; write it as a pooling with windows of one size.",
    r"RandomCrop": "it changes the size of images; do so before, and build the model without it.",
    r"Rand\w+|\w+Mix|MixUp|MaxNumBoundingBoxes": "it is for training alone; build the model without it.",
    r"AutoContrast|\w*Equalization|Solarization": "it changes the colours of images; do so before, and build the model "
    "without it.",
    r"\w+Spectrogram": "it turns sound into an image; do that to the recordings, and build the model without it.",
    r"EinsumDense": "there is no reader for it; write it as a Dense, behind a Reshape if need be.",
    r"Lambda": "it holds code of its own, which is never run; write it with Keras layers.",
    r"Convolution[12]D|MaxoutDense|Highway|Merge|\w+Convolution2D": "layers of Keras 1 cannot be read; load the model "
    "with Keras 2 and save it again.",
}


def unsupported(label: str, class_name: str) -> ModelError:
    """Return the error for a layer class, or a function between layers, that cannot be converted."""
    hint = next((hint for names, hint in _HINTS.items() if re.fullmatch(names, class_name)), None)
    return ModelError(f"{label}: {hint or _NO_READER}")


def foreign(label: str, class_name: str, module: str, name: str) -> ModelError:
    """Return the error for an object in a file that Keras must not rebuild.

    Parameters
    ----------
    label : str
        The file and the layer.
    class_name, module : str
        As the file has them.
    name : str
        Of a function.
    """
    if class_name == "__lambda__":
        reason, remedy = "has a lambda, which is Python code and never run", "name a function of keras.activations"
    elif class_name == "function":
        reason = f"calls {name!r}, a function outside Keras, which is no part of the file and never run"
        remedy = "use one of keras.activations"
    elif class_name == "Lambda":
        reason, remedy = "holds code of its own, which is never run", "write it with Keras layers"
    elif module.startswith("keras.quantizers"):
        return ModelError(f"{label} has quantised weights ({class_name}); save the model as it was before quantize().")
    else:
        kind = f"{module or 'no module'}, {class_name}"
        reason = f"holds code or an object that is not Keras' own ({kind}), which is never run"
        remedy = "write it with Keras layers"
    return ModelError(f"{label} {reason}; {remedy} and save the model again.")
