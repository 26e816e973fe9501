"""Small Keras models that are hard to convert, with weights as training leaves them.

Every function takes the keyword `seed` and returns a model. `HAND_PICKED` lists them by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if TYPE_CHECKING:
    import keras


def sequential(*stack: keras.Layer, shape: tuple[int, ...] = (6, 6, 2)) -> keras.Model:
    """Return a Sequential model."""
    import keras

    return keras.Sequential([keras.Input(shape), *stack])


def layers() -> Any:
    """Return `keras.layers`, imported on first use: TensorFlow takes seconds to load."""
    from keras import layers as keras_layers

    return keras_layers


def trained_like(model: keras.Model, seed: int) -> keras.Model:
    """Give a model the weights of a trained one: no bias is zero, no batch norm is the identity."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.path.split("/")[-1] in _DRAWS:
            variable.assign(_DRAWS[variable.path.split("/")[-1]](rng, tuple(variable.shape)))
    return model


def images_for(model: keras.Model, n_images: int, seed: int = 0) -> NDArray[np.float32]:
    """Return random images in [0, 1) that fit the model, a quarter of the pixels black."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(size=(n_images, *model.inputs[0].shape[1:]))
    return np.where(rng.uniform(size=images.shape) < 0.25, 0.0, images).astype(np.float32)


def outputs_of(model: keras.Model, images: Any) -> Any:
    """Return what a model says of images; `predict` first compiles a graph, which takes longer than small models do."""
    import keras

    return keras.tree.map_structure(np.asarray, model(images, training=False))


def _kernel(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw a kernel whose outputs have the variance of its inputs."""
    return rng.normal(0.1, 1.0, shape) * np.sqrt(2.0 / max(1, int(np.prod(shape[:-1]))))


_DRAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]] = {
    "kernel": _kernel,
    "depthwise_kernel": lambda rng, shape: rng.normal(0.15, 0.5, shape),
    "pointwise_kernel": _kernel,
    "bias": lambda rng, shape: rng.normal(0.05, 0.2, shape),
    "gamma": lambda rng, shape: rng.uniform(0.5, 1.5, shape),
    "beta": lambda rng, shape: rng.normal(0.1, 0.2, shape),
    "moving_mean": lambda rng, shape: rng.normal(0.0, 0.3, shape),
    "moving_variance": lambda rng, shape: rng.uniform(0.5, 1.5, shape),
}


def mlp(seed: int = 0) -> keras.Model:
    """Two hidden layers, one with a fused ReLU."""
    import keras

    k = layers()
    stack = [k.Dense(9, activation="relu", name="hidden"), k.Dense(7, name="second"), k.ReLU(name="second_relu")]
    head = [k.Dropout(0.5, name="dropout"), k.Dense(4, activation="softmax", name="logits")]
    return trained_like(keras.Sequential([keras.Input((6,)), *stack, *head]), seed)


def odd_pooling(seed: int = 0) -> keras.Model:
    """3x3 stride-2 'same' pooling on odd sizes, maximum and average; a pool of a pool, a pool of padded spikes."""
    import keras

    k = layers()
    stack = [
        k.Conv2D(3, 3, padding="same", activation="relu", name="conv_a"),
        k.MaxPooling2D(3, 2, padding="same", name="max_pool"),
        k.Conv2D(4, 2, padding="same", activation="relu", name="conv_b"),
        k.AveragePooling2D(3, 2, padding="same", name="average_pool"),
        k.MaxPooling2D((1, 2), 1, name="pool_of_pool"),
        k.Conv2D(3, 2, padding="same", activation="relu", name="conv_c"),
        k.ZeroPadding2D(1, name="pad"),
        k.MaxPooling2D(3, 2, name="padded_pool"),
        k.Flatten(name="flatten"),
        k.Dense(3, activation="softmax", name="logits"),
    ]
    return trained_like(keras.Sequential([keras.Input((9, 7, 2)), *stack]), seed)


def dilation(seed: int = 0) -> keras.Model:
    """Dilated convolutions, 'same' and 'valid'."""
    import keras

    k = layers()
    stack = [
        k.Conv2D(3, 3, dilation_rate=2, padding="same", activation="relu", name="conv_a"),
        k.Conv2D(2, (2, 3), dilation_rate=(3, 2), activation="relu", name="conv_b"),
        k.Flatten(name="flatten"),
        k.Dense(3, name="logits"),
    ]
    return trained_like(keras.Sequential([keras.Input((7, 6, 2)), *stack]), seed)


def depthwise(seed: int = 0) -> keras.Model:
    """A depthwise convolution with multiplier 2, stride 2, batch norm before the ReLU."""
    import keras

    k = layers()
    stack = [
        k.Conv2D(3, 1, activation="relu", name="conv"),
        k.DepthwiseConv2D(3, strides=2, depth_multiplier=2, padding="same", use_bias=False, name="depthwise"),
        k.BatchNormalization(name="norm"),
        k.ReLU(name="relu"),
        k.DepthwiseConv2D((2, 2), activation="relu", name="depthwise_valid"),
        k.Flatten(name="flatten"),
        k.Dense(3, activation="softmax", name="logits"),
    ]
    return trained_like(keras.Sequential([keras.Input((6, 7, 2)), *stack]), seed)


def separable(seed: int = 0) -> keras.Model:
    """Separable convolutions, the first one on the image."""
    import keras

    k = layers()
    stack = [
        k.SeparableConv2D(4, 3, depth_multiplier=2, padding="same", activation="relu", name="separable_a"),
        k.SeparableConv2D(3, (3, 2), strides=2, padding="same", use_bias=False, name="separable_b"),
        k.BatchNormalization(name="norm"),
        k.Activation("relu", name="relu"),
        k.GlobalAveragePooling2D(name="average"),
        k.Dense(3, activation="softmax", name="logits"),
    ]
    return trained_like(keras.Sequential([keras.Input((6, 6, 3)), *stack]), seed)


def groups(seed: int = 0) -> keras.Model:
    """A grouped convolution between two plain ones."""
    import keras

    k = layers()
    stack = [
        k.Conv2D(4, 3, activation="relu", name="conv"),
        k.Conv2D(6, 3, groups=2, padding="same", activation="relu", name="grouped"),
        k.Conv2D(4, 1, groups=2, use_bias=False, activation="relu", name="grouped_point"),
        k.Flatten(name="flatten"),
        k.Dense(3, name="logits"),
        k.Softmax(name="softmax"),
    ]
    return trained_like(keras.Sequential([keras.Input((5, 6, 2)), *stack]), seed)


def norm_after_relu(seed: int = 0) -> keras.Model:
    """Batch norm after the ReLU, before padded convolutions, through a max and an average pool."""
    import keras

    k = layers()
    stack = [
        k.Conv2D(3, 3, activation="relu", name="conv_a"),
        k.BatchNormalization(name="norm_a"),
        k.Conv2D(3, 3, padding="same", activation="relu", name="conv_b"),
        k.BatchNormalization(name="norm_b"),
        k.MaxPooling2D(2, padding="same", name="max_pool"),
        k.Dropout(0.2, name="dropout"),
        k.ZeroPadding2D(((1, 0), (2, 1)), name="pad"),
        k.Conv2D(4, 2, activation="relu", name="conv_c"),
        k.BatchNormalization(name="norm_c"),
        k.Flatten(name="flatten"),
        k.Dense(5, activation="relu", name="hidden"),
        k.BatchNormalization(name="norm_d"),
        k.Dense(3, activation="softmax", name="logits"),
    ]
    return trained_like(keras.Sequential([keras.Input((7, 7, 1)), *stack]), seed)


def norm_before_average(seed: int = 0) -> keras.Model:
    """Batch norm after the ReLU whose shift meets an average pool and then a padded convolution."""
    import keras

    k = layers()
    stack = [
        k.Conv2D(3, 3, padding="same", activation="relu", name="conv_a"),
        k.BatchNormalization(name="norm_a"),
        k.AveragePooling2D(3, 2, padding="same", name="average_pool"),
        k.Conv2D(3, 3, padding="same", activation="relu", name="conv_b"),
        k.GlobalAveragePooling2D(name="global_average"),
        k.Dense(3, activation="softmax", name="logits"),
    ]
    return trained_like(keras.Sequential([keras.Input((5, 5, 2)), *stack]), seed)


def resnet_block(seed: int = 0) -> keras.Model:
    """An identity shortcut and a strided projection shortcut, batch norm before every ReLU."""
    import keras

    k = layers()
    image = keras.Input((6, 6, 2))
    x = k.ReLU(name="stem_relu")(k.BatchNormalization(name="stem_norm")(k.Conv2D(3, 3, name="stem")(image)))
    y = k.Conv2D(3, 3, padding="same", use_bias=False, name="first_a")(x)
    y = k.ReLU(name="first_relu")(k.BatchNormalization(name="first_norm_a")(y))
    y = k.BatchNormalization(name="first_norm_b")(k.Conv2D(3, 3, padding="same", name="first_b")(y))
    x = k.ReLU(name="first_out")(k.Add(name="first_add")([x, y]))
    y = k.Conv2D(4, 3, strides=2, padding="same", name="second_a")(x)
    y = k.ReLU(name="second_relu")(k.BatchNormalization(name="second_norm_a")(y))
    y = k.BatchNormalization(name="second_norm_b")(k.Conv2D(4, 3, padding="same", name="second_b")(y))
    shortcut = k.BatchNormalization(name="short_norm")(k.Conv2D(4, 1, strides=2, name="short")(x))
    x = k.Activation("relu", name="second_out")(k.Add(name="second_add")([shortcut, y]))
    output = k.Dense(3, activation="softmax", name="logits")(k.GlobalAveragePooling2D(name="average")(x))
    return trained_like(keras.Model(image, output), seed)


def inception_block(seed: int = 0) -> keras.Model:
    """Four branches, one of them through a pool, concatenated; then a max pool over the concatenation."""
    import keras

    k = layers()
    image = keras.Input((6, 6, 2))
    x = k.Conv2D(3, 3, padding="same", activation="relu", name="stem")(image)
    branches = [k.Conv2D(2, 1, activation="relu", name="one")(x)]
    y = k.Conv2D(2, 1, activation="relu", name="three_a")(x)
    branches.append(k.Conv2D(3, 3, padding="same", activation="relu", name="three_b")(y))
    y = k.Conv2D(2, 1, activation="relu", name="five_a")(x)
    y = k.Conv2D(2, (1, 3), padding="same", activation="relu", name="five_b")(y)
    branches.append(k.Conv2D(2, (3, 1), padding="same", activation="relu", name="five_c")(y))
    y = k.AveragePooling2D(3, 1, padding="same", name="pool")(x)
    branches.append(k.Conv2D(2, 1, activation="relu", name="pool_projection")(y))
    x = k.Concatenate(name="mixed")(branches)
    x = k.MaxPooling2D(3, 2, name="reduce")(x)
    x = k.Conv2D(3, 2, activation="relu", name="last")(x)
    output = k.Dense(3, activation="softmax", name="logits")(k.Flatten(name="flatten")(x))
    return trained_like(keras.Model(image, output), seed)


def nested_concat(seed: int = 0) -> keras.Model:
    """A concatenation of a concatenation, one input of which was pooled."""
    import keras

    k = layers()
    image = keras.Input((5, 5, 2))
    a = k.Conv2D(2, 2, padding="same", activation="relu", name="a")(image)
    b = k.Conv2D(3, 3, padding="same", activation="relu", name="b")(a)
    inner = k.Concatenate(name="inner")([b, a])
    c = k.MaxPooling2D(3, 1, padding="same", name="c")(a)
    outer = k.Concatenate(name="outer")([c, inner])
    x = k.Conv2D(3, 3, activation="relu", name="last")(outer)
    output = k.Dense(3, name="logits")(k.Flatten(name="flatten")(x))
    return trained_like(keras.Model(image, output), seed)


def image_shortcut(seed: int = 0) -> keras.Model:
    """Populations that see the image and spikes at once, and the same source by two paths."""
    import keras

    k = layers()
    image = keras.Input((5, 5, 2))
    a = k.Conv2D(3, 3, padding="same", activation="relu", name="a")(image)
    direct = k.Conv2D(3, 1, name="direct")(image)
    b = k.ReLU(name="b_relu")(k.Add(name="b")([k.Conv2D(3, 3, padding="same", name="through_a")(a), direct]))
    two_paths = k.Add(name="c")([k.Conv2D(3, 3, padding="same", name="wide")(b), k.Conv2D(3, 1, name="narrow")(b), b])
    c = k.BatchNormalization(name="c_norm")(two_paths)
    c = k.ReLU(name="c_relu")(c)
    output = k.Dense(3, name="logits")(k.Flatten(name="flatten")(c))
    return trained_like(keras.Model(image, output), seed)


def even_kernels(seed: int = 0) -> keras.Model:
    """Even kernels and strides with 'same', where Keras pads more at the end than at the start."""
    import keras

    k = layers()
    stack = [
        k.Conv2D(3, (2, 4), padding="same", activation="relu", name="conv_a"),
        k.Conv2D(3, 4, strides=3, padding="same", activation="relu", name="conv_b"),
        k.Conv2D(4, 2, strides=2, padding="same", activation="relu", name="conv_c"),
        k.Flatten(name="flatten"),
        k.Dense(3, activation="softmax", name="logits"),
    ]
    return trained_like(keras.Sequential([keras.Input((8, 7, 2)), *stack]), seed)


def relu6(seed: int = 0) -> keras.Model:
    """A ceiling that the activations pass: the weights are enlarged."""
    import keras

    k = layers()
    stack = [
        k.Conv2D(3, 3, use_bias=False, name="conv"),
        k.ReLU(max_value=6.0, name="ceiling"),
        k.Dense(4, activation="relu6", name="pointwise"),
        k.Flatten(name="flatten"),
        k.Dense(3, activation="softmax", name="logits"),
    ]
    model = trained_like(keras.Sequential([keras.Input((5, 5, 2)), *stack]), seed)
    model.get_layer("conv").kernel.assign(9.0 * model.get_layer("conv").kernel)
    return model


def nested_model(seed: int = 0) -> keras.Model:
    """A functional model used as a layer of a Sequential one, the image rescaled first."""
    import keras

    k = layers()
    inner_input = keras.Input((4, 4, 3))
    a = k.Conv2D(2, 3, padding="same", activation="relu", name="inner_a")(inner_input)
    b = k.Conv2D(2, 1, activation="relu", name="inner_b")(inner_input)
    inner = keras.Model(inner_input, k.Concatenate(name="inner_concat")([a, b]), name="features")
    stack = [
        k.Rescaling(0.5, offset=0.25, name="rescaling"),
        k.Conv2D(3, 3, activation="relu", name="stem"),
        inner,
        k.MaxPooling2D(2, name="max_pool"),
        k.Flatten(name="flatten"),
        k.Dense(3, activation="softmax", name="logits"),
    ]
    return trained_like(keras.Sequential([keras.Input((6, 6, 2)), *stack]), seed)


def reordered(seed: int = 0) -> keras.Model:
    """Permute and Reshape between layers: of the image, of the spikes, before the dense head."""
    import keras

    k = layers()
    stack = [
        k.Permute((2, 1, 3), name="permute_image"),
        k.Conv2D(4, (2, 3), activation="relu", name="conv_a"),
        k.Permute((2, 3, 1), name="permute"),
        k.Conv2D(3, 2, padding="same", activation="relu", name="conv_b"),
        k.Reshape((-1, 2, 2), name="reshape"),
        k.MaxPooling2D((2, 1), name="max_pool"),
        k.Permute((3, 1, 2), name="permute_head"),
        k.Flatten(name="flatten"),
        k.Dense(3, activation="softmax", name="logits"),
    ]
    return trained_like(keras.Sequential([keras.Input((5, 4, 2)), *stack]), seed)


def global_average_head(seed: int = 0) -> keras.Model:
    """A fully convolutional body under a global average and an unactivated dense head."""
    import keras

    k = layers()
    stack = [
        k.ZeroPadding2D(1, name="pad"),
        k.Conv2D(4, 3, strides=2, name="conv_a"),
        k.BatchNormalization(name="norm"),
        k.Activation("relu", name="relu"),
        k.SpatialDropout2D(0.1, name="dropout"),
        k.Conv2D(5, 2, activation="relu", name="conv_b"),
        k.GlobalAveragePooling2D(keepdims=True, name="average"),
        k.Flatten(name="flatten"),
        k.Dense(3, name="logits"),
    ]
    return trained_like(keras.Sequential([keras.Input((7, 6, 1)), *stack]), seed)


HAND_PICKED: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        mlp,
        odd_pooling,
        dilation,
        depthwise,
        separable,
        groups,
        norm_after_relu,
        norm_before_average,
        resnet_block,
        inception_block,
        nested_concat,
        image_shortcut,
        even_kernels,
        relu6,
        nested_model,
        reordered,
        global_average_head,
    )
}
