"""Write the files beside this script with Keras 2, and what Keras 2 computes for them.

Keras 2 lives on as the package tf_keras. Run this in an environment of its own: ``pip install tensorflow tf_keras``.
Every model is one function; each is saved as ``.h5`` and as ``.keras``, with its images and outputs in ``.npz``.
"""

import os
import sys
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tf_keras as keras
from several_inputs import SHAPE, by_name, in_order
from tf_keras import layers

HERE = Path(__file__).parent


def randomised(model, rng):
    """Give every weight a random value, variances and factors positive ones."""
    values = []
    for weight, before in zip(model.weights, model.get_weights(), strict=True):
        # A Normalization keeps what it computes from the mean and variance that it was adapted to.
        if weight.dtype.is_floating and weight.name not in ("mean:0", "variance:0"):
            positive = "variance" in weight.name or "gamma" in weight.name
            scale = 1 / np.sqrt(max(1, np.prod(weight.shape[:-1])))
            value = rng.uniform(0.5, 1.5, weight.shape) if positive else rng.normal(0.05, scale, weight.shape)
            before = value.astype("float32")
        values.append(before)
    model.set_weights(values)
    return model


def plain():
    """Return a Sequential model whose first layer carries the shape, compiled, with all that serves training."""
    regular = {
        "kernel_regularizer": "l2",
        "kernel_constraint": keras.constraints.MaxNorm(3),
        "bias_constraint": "non_neg",
    }
    model = keras.Sequential(
        [
            layers.Conv2D(5, 3, padding="same", input_shape=SHAPE, kernel_initializer="he_normal", **regular),
            layers.BatchNormalization(beta_regularizer="l1"),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.SpatialDropout2D(0.1),
            layers.SeparableConv2D(6, 3, activation="relu", activity_regularizer="l2"),
            layers.Dropout(0.3),
            layers.DepthwiseConv2D(2, padding="same", depthwise_constraint=keras.constraints.MaxNorm(3)),
            layers.ReLU(6.0),
            layers.Flatten(),
            layers.Dense(4, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(0, 0.1)),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def augmented():
    """Return a model that begins with random layers and pixels that are rescaled."""
    return keras.Sequential(
        [
            layers.InputLayer(SHAPE),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.2),
            layers.RandomTranslation(0.1, 0.1),
            layers.RandomContrast(0.1),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.GaussianNoise(0.1),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def branches():
    """Return a small model with a branch and batch norms, as MobileNets have them."""
    image = layers.Input(SHAPE, name="picture")
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="Conv1_pad")(image)
    x = layers.Conv2D(4, 3, strides=2, use_bias=False, name="Conv1")(x)
    x = layers.ReLU(6.0, name="Conv1_relu")(layers.BatchNormalization(name="bn_Conv1")(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    y = layers.ReLU(6.0)(layers.BatchNormalization(name="depthwise_BN")(y))
    y = layers.Conv2D(4, 1, use_bias=False, name="project")(y)
    y = layers.BatchNormalization(name="project_BN")(y)
    return keras.Model(image, layers.ReLU(name="out_relu")(layers.Add(name="add")([x, y])), name="small_0.35_net")


def teachable():
    """Return a model as Teachable Machine nests it."""
    features = keras.Sequential([branches(), layers.GlobalAveragePooling2D(name="pool")], name="sequential_1")
    head = keras.Sequential(
        [layers.Dense(6, activation="relu", input_shape=(4,)), layers.Dense(2, use_bias=False, activation="softmax")],
        name="sequential_3",
    )
    return keras.Sequential([features, head], name="sequential_4")


def frozen():
    """Return a frozen model under a new head, compiled, inside and outside."""
    base = branches()
    base.compile("sgd", "mse")
    base.trainable = False
    model = keras.Sequential(
        [base, layers.GlobalAveragePooling2D(), layers.Dense(5, activation="relu"), layers.Dense(3)]
    )
    model.compile("adam", "mse")
    return model


def thawed():
    """Return a model in which some layers of the nested one are frozen; it is called with training=False."""
    base = branches()
    for layer in base.layers[:5]:
        layer.trainable = False
    image = layers.Input(SHAPE)
    x = base(layers.Rescaling(1 / 255.0)(image), training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(3)(x))


def twice():
    """Return a model that calls a layer, a Sequential and a functional model twice each."""
    left = layers.Input((8,), name="left")
    shared = layers.Dense(8, activation="relu", name="shared")
    stack = keras.Sequential([layers.Dense(8, activation="relu", input_shape=(8,))], name="stack")
    inner = layers.Input((8,), name="inner")
    functional = keras.Model(
        inner, layers.Dense(8, activation="relu")(layers.BatchNormalization()(inner)), name="functional"
    )
    x = shared(left)
    y = functional(stack(shared(stack(x))))
    return keras.Model(left, layers.Dense(3)(layers.Concatenate()([x, y, functional(x)])), name="twice")


def preprocessed(mode):
    """Return a model with Keras' preprocessing of its images inside."""
    image = layers.Input(SHAPE)
    x = keras.applications.imagenet_utils.preprocess_input(image, mode=mode)
    x = layers.Conv2D(4, 3, activation="relu")(x)
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


def operations():
    """Return a model with functions of TensorFlow in place of layers."""
    image = layers.Input(SHAPE)
    x = tf.cast(image, tf.float32) / 255.0
    x = (x - np.array([0.4, 0.5, 0.6], "float32")) * 2.0
    x = tf.nn.relu(layers.Conv2D(4, 3)(x))
    y = tf.nn.relu6(layers.Conv2D(4, 3, padding="same")(x))
    y = tf.concat([x + y, 2 * y - x, x], axis=-1)
    y = tf.nn.relu(layers.Conv2D(4, 3)(y) + 0.125)
    y = tf.reduce_mean(tf.reshape(y, (-1, 4, 9, 4)), axis=[1, 2])
    return keras.Model(image, tf.nn.softmax(layers.Dense(3)(1.0 - y)))


def slashes():
    """Return a model whose layers' names hold slashes."""
    image = layers.Input(SHAPE, name="in/put")
    x = layers.Conv2D(3, 3, activation="relu", name="block/conv")(image)
    y = layers.Conv2D(3, 3, padding="same", name="block/conv/2")(x)
    y = layers.BatchNormalization(name="block/conv_2")(y)
    x = layers.Activation("relu", name="relu/2")(layers.Add(name="block/sum")([x, y]))
    return keras.Model(image, layers.Dense(3, name="top/dense")(layers.Flatten(name="top/flatten")(x)))


def mixed():
    """Return a model of mixed precision."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        stack = [layers.Conv2D(4, 3, activation="relu", input_shape=SHAPE), layers.Flatten()]
        return keras.Sequential([*stack, layers.Dense(3), layers.Activation("softmax", dtype="float32")])
    finally:
        keras.mixed_precision.set_global_policy("float32")


def normalised():
    """Return a model that begins with a Normalization that was adapted, and ends without an activation."""
    normalization = layers.Normalization(axis=-1)
    normalization.adapt(np.random.default_rng(5).uniform(0, 255, (20, *SHAPE)))
    return keras.Sequential(
        [
            layers.InputLayer(SHAPE),
            normalization,
            layers.Conv2D(3, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def along_one_axis():
    """Return a model of time series."""
    return keras.Sequential(
        [
            layers.Conv1D(4, 3, activation="relu", input_shape=(12, 2), dilation_rate=2),
            layers.MaxPooling1D(2),
            layers.Conv1D(4, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(3),
        ]
    )


def film():
    """Return a model of short films."""
    return keras.Sequential(
        [
            layers.TimeDistributed(layers.Conv2D(4, 3, activation="relu"), input_shape=(3, 6, 5, 2)),
            layers.TimeDistributed(layers.MaxPooling2D(2)),
            layers.TimeDistributed(layers.Flatten()),
            layers.TimeDistributed(layers.Dense(5, activation="relu")),
            layers.Conv1D(4, 2, padding="causal", activation="relu"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def autoencoder():
    """Return a model whose output is an image, with leaky activations and pooling before them."""
    return keras.Sequential(
        [
            layers.Conv2D(4, 3, padding="same", input_shape=(8, 8, 2)),
            layers.MaxPooling2D(2),
            layers.LeakyReLU(0.25),
            layers.Conv2D(4, 3, padding="same"),
            layers.PReLU(shared_axes=[1, 2]),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.SeparableConv2D(4, 3, padding="same", activation="relu"),
            layers.Conv2DTranspose(2, 3, strides=2, padding="same", activation="relu"),
            layers.AveragePooling2D(2),
        ]
    )


def built_later():
    """Return a Sequential model without an input layer, whose shape was given to build()."""
    model = keras.Sequential(
        [
            layers.Dense(6, activation="relu"),
            layers.Reshape((2, 3)),
            layers.Permute((2, 1)),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    model.build((None, 7))
    return model


def first(kind, **arguments):
    return getattr(layers, kind)(**arguments, data_format="channels_first")


def channels_first():
    """Return a Sequential model with channels first throughout."""
    return keras.Sequential(
        [
            first("Conv2D", filters=4, kernel_size=3, padding="same", activation="relu", input_shape=(3, 10, 8)),
            first("MaxPooling2D"),
            layers.BatchNormalization(axis=1),
            first("ZeroPadding2D", padding=(1, 0)),
            first("Conv2D", filters=5, kernel_size=(3, 2), strides=2, activation="relu"),
            layers.Dropout(0.2),
            first("Flatten"),
            layers.Dense(6, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ]
    )


def channels_first_branches():
    """Return a functional model with channels first in which axes are named, flattened and reshaped as they are."""
    image = layers.Input((3, 9, 8))
    x = layers.BatchNormalization(axis=1)(image)
    x = first("Conv2D", filters=4, kernel_size=3, padding="same", activation="relu")(x)
    y = first("AveragePooling2D", pool_size=3, strides=1, padding="same")(x)
    y = layers.ReLU()(layers.BatchNormalization(axis=1)(first("Conv2D", filters=4, kernel_size=1)(y)))
    x = layers.Concatenate(axis=1)([layers.Add()([x, y]), x])
    x = first("Conv2D", filters=4, kernel_size=3, activation="relu")(x)
    pooled = first("GlobalAveragePooling2D")(x)
    x = layers.Flatten()(layers.Permute((3, 1, 2))(layers.Reshape((2, 14, 6))(x)))
    return keras.Model(image, layers.Dense(3)(layers.Concatenate()([x, pooled])))


def graph():
    """Return a model with nodes of TensorFlow's graph, which stood in the place of functions up to TensorFlow 2.3."""
    tf.compat.v1.disable_eager_execution()
    image = layers.Input(SHAPE)
    x = tf.nn.relu(layers.Conv2D(4, 3)(image / 127.5 - 1.0))
    y = tf.nn.relu6(layers.Conv2D(4, 3, padding="same")(x))
    x = tf.concat([x + y, 2.0 * y], axis=-1)
    x = tf.reduce_mean(layers.Conv2D(4, 3, activation="relu")(tf.nn.bias_add(x, [0.0] * 8)), axis=[1, 2])
    return keras.Model(image, tf.nn.softmax(layers.Dense(3)(x)))


MODELS = {
    "plain": plain,
    "augmented": augmented,
    "teachable": teachable,
    "frozen": frozen,
    "thawed": thawed,
    "twice": twice,
    "preprocessed_tf": lambda: preprocessed("tf"),
    "preprocessed_torch": lambda: preprocessed("torch"),
    "preprocessed_caffe": lambda: preprocessed("caffe"),
    "operations": operations,
    "slashes": slashes,
    "mixed": mixed,
    "normalised": normalised,
    "along_one_axis": along_one_axis,
    "built_later": built_later,
    "channels_first": channels_first,
    "channels_first_branches": channels_first_branches,
    "film": film,
    "autoencoder": autoencoder,
    "in_order": in_order,
    "by_name": by_name,
    # The last, since TensorFlow stays in the mode of this one.
    "graph": graph,
}

#: Models whose images are grey levels up to 255.
PREPROCESSED = ("preprocessed_tf", "preprocessed_torch", "preprocessed_caffe")
BRIGHT = ("augmented", "thawed", "operations", "normalised", "graph", *PREPROCESSED)

#: Models of which there is no .keras: Keras 2 itself cannot write an Ellipsis, and the others would show nothing new.
H5_ALONE = (
    *PREPROCESSED,
    "frozen",
    "normalised",
    "along_one_axis",
    "built_later",
    "channels_first_branches",
    "graph",
)


def together(arrays):
    """Return one array as it is, several as a vector for each image."""
    return arrays[0] if len(arrays) == 1 else np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1)


def main():
    """Write everything, or the models that are named."""
    for seed, (name, build) in enumerate(MODELS.items()):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        keras.backend.clear_session()
        rng = np.random.default_rng(seed)
        model = randomised(build(), rng)
        highest = 255 if name in BRIGHT else 1
        given = [rng.uniform(0, highest, (4, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
        packed = tf.nest.pack_sequence_as(model._nested_inputs, given)
        model.save(HERE / f"{name}.h5")
        if name not in H5_ALONE:
            model.save(HERE / f"{name}.keras")
        outputs = tf.nest.flatten(model.predict(packed, verbose=0))
        np.savez_compressed(HERE / f"{name}.npz", images=together(given), outputs=together(outputs))
        if name == "along_one_axis":
            model.save(HERE / "along_one_axis.keras", save_format="h5")


if __name__ == "__main__":
    main()
