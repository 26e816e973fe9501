"""Export a model by Keras 3 itself, which calls tf2onnx: in an environment with tensorflow, tf2onnx and onnx."""

from pathlib import Path

import keras
import numpy as np
from keras import layers as k


def main():
    """Write onnx/keras.onnx."""
    keras.utils.set_random_seed(1)
    stack = [
        k.Conv2D(8, 3, padding="same"),
        k.BatchNormalization(),
        k.ReLU(),
        k.MaxPooling2D(2),
        k.Conv2D(8, 3, activation="relu"),
        k.DepthwiseConv2D(3, padding="same"),
        k.ReLU(6),
        k.GlobalAveragePooling2D(),
        k.Dense(5, activation="softmax"),
    ]
    model = keras.Sequential([keras.Input((16, 16, 3)), *stack])
    # It must have been called before it is exported.
    model.predict(np.zeros((1, 16, 16, 3)), verbose=0)
    model.export(Path(__file__).parent / "onnx" / "keras.onnx", format="onnx", verbose=False)


if __name__ == "__main__":
    main()
