"""Write the Keras 2 files beside this script and what Keras 2 computes for them: run it with tensorflow==2.15.*."""

from pathlib import Path

import numpy as np
from tensorflow import keras
from tensorflow.keras import layers

HERE = Path(__file__).parent


def randomised(model, rng):
    """Give every weight a random value, variances and factors positive ones."""
    for weight in model.weights:
        positive = "variance" in weight.name or "gamma" in weight.name
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) if positive else rng.normal(0, 0.3, weight.shape))
    return model


def sequential():
    """Return a model with the layers whose configurations have changed since."""
    return keras.Sequential(
        [
            layers.InputLayer((12, 12, 3)),
            layers.Rescaling(1 / 255.0),
            layers.Conv2D(6, 3, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.SeparableConv2D(8, 3, activation="relu"),
            layers.Dropout(0.3),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.ReLU(6.0),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, activation="softmax"),
        ]
    )


def functional():
    """Return a model with branches and a nested model."""
    image = layers.Input((12, 12, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    y = layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(x))
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Concatenate()([x, layers.AveragePooling2D(3, 1, "same")(x)])
    nested = keras.Sequential([layers.InputLayer((12, 12, 12)), layers.Conv2D(4, 3, activation="relu")])
    return keras.Model(image, layers.Dense(5)(layers.Flatten()(nested(x))))


def main():
    """Write everything."""
    rng = np.random.default_rng(0)
    models = {"sequential": randomised(sequential(), rng), "functional": randomised(functional(), rng)}
    images = rng.uniform(0, 255, (4, 12, 12, 3))
    scaled = {"sequential": images, "functional": images / 255}
    for name, model in models.items():
        model.save(HERE / f"keras2_{name}.h5")
        model.save(HERE / f"keras2_{name}.keras")
    outputs = {name: model.predict(scaled[name], verbose=0) for name, model in models.items()}
    np.savez_compressed(HERE / "keras2_outputs.npz", images=images, **outputs)


if __name__ == "__main__":
    main()
