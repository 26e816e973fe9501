"""Models of Keras 2 with several inputs and outputs, in lists and in dicts; `make_models.py` writes their files."""

import tf_keras as keras
from tf_keras import layers

#: Of the images of all models.
SHAPE = (10, 10, 3)


def several(image, features):
    """Return the two outputs of a model of two inputs, with a shared layer and a nested model of two outputs."""
    given = layers.Input((8,))
    hidden = layers.Dense(6, activation="relu")(given)
    inner = keras.Model(given, [layers.Dense(8, activation="relu")(hidden), layers.Dense(3)(hidden)], name="inner")
    flat = layers.Flatten()(layers.MaxPooling2D(4)(layers.Conv2D(2, 3, activation="relu")(image)))
    wide, narrow = inner(features)
    again = inner(layers.Subtract()([wide, flat]))[1]
    both = layers.ReLU()(layers.Concatenate()([narrow, again]))
    return layers.Dense(4, activation="softmax")(both), layers.Dense(2)(layers.Concatenate()([both, flat]))


def in_order():
    """Return a model that takes a list and returns one."""
    image, features = layers.Input(SHAPE), layers.Input((8,))
    return keras.Model([image, features], list(several(image, features)))


def by_name():
    """Return a model that takes a dict and returns one, around another that does; no name is in alphabetical order."""

    def model(around):
        image, features = layers.Input(SHAPE, name="an_image"), layers.Input((8,), name="some_features")
        classes, place = around(image, features)
        return keras.Model({"picture": image, "numbers": features}, {"where": place, "classes": classes})

    inner = model(several)

    def outer(image, features):
        found = inner({"picture": image, "numbers": features})
        return found["classes"], layers.Dense(3)(layers.ReLU()(found["where"]))

    return model(outer)
