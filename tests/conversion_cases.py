"""More Keras models for the conversion stage: what `tests.models` has not, each with one thing that is hard to fold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.models import layers, trained_like


def _model(shape: tuple[int, ...], build: Callable[[Any, Any], Any]) -> Any:
    """Return a functional model around ``build(keras.layers, image)``."""
    import keras

    image = keras.Input(shape)
    return trained_like(keras.Model(image, build(layers(), image)), seed=3)


def preactivation_resnet() -> Any:
    """Sums without a ReLU that feed both a batch norm and the next sum."""

    def build(k: Any, image: Any) -> Any:
        x = k.Conv2D(3, 3, padding="same", name="stem")(image)
        for block in range(2):
            y = k.ReLU()(k.BatchNormalization()(x))
            y = k.Conv2D(3, 3, padding="same", name=f"block_{block}_a")(y)
            y = k.ReLU()(k.BatchNormalization()(y))
            y = k.Conv2D(3, 3, padding="same", name=f"block_{block}_b")(y)
            x = k.Add(name=f"add_{block}")([x, y])
        x = k.ReLU()(k.BatchNormalization()(x))
        return k.Dense(4, activation="softmax")(k.GlobalAveragePooling2D()(x))

    return _model((5, 6, 2), build)


def linear_bottlenecks() -> Any:
    """MobileNetV2: 1x1 convolutions without a ReLU, added up, under another 1x1 convolution."""

    def build(k: Any, image: Any) -> Any:
        def expand(x: Any, name: str, strides: int) -> Any:
            y = k.Conv2D(6, 1, use_bias=False, name=f"{name}_expand")(x)
            y = k.ReLU(6.0)(k.BatchNormalization()(y))
            y = k.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False, name=f"{name}_depthwise")(y)
            y = k.ReLU(6.0)(k.BatchNormalization()(y))
            return k.BatchNormalization()(k.Conv2D(3, 1, use_bias=False, name=f"{name}_project")(y))

        x = k.ReLU(6.0)(k.BatchNormalization()(k.Conv2D(3, 3, padding="same", name="stem")(image)))
        x = expand(x, "a", 1)
        x = k.Add()([x, expand(x, "b", 1)])
        x = expand(x, "c", 2)
        x = k.ReLU(6.0)(k.BatchNormalization()(k.Conv2D(5, 1, name="last")(x)))
        return k.Dense(3, activation="softmax")(k.GlobalAveragePooling2D()(x))

    return _model((7, 6, 2), build)


def composed_dense() -> Any:
    """A convolution without a ReLU under a flattened dense layer, and a dense layer under another."""

    def build(k: Any, image: Any) -> Any:
        x = k.Conv2D(3, 3, strides=2, padding="same", name="linear")(image)
        x = k.Permute((3, 1, 2))(k.BatchNormalization()(x))
        x = k.Dense(5, activation="relu", name="hidden")(k.Flatten()(x))
        return k.Dense(3, activation="softmax")(k.Dense(4, name="linear_dense")(x))

    return _model((6, 5, 2), build)


def composed_pointwise() -> Any:
    """Depthwise and grouped convolutions without a ReLU, each under a 1x1 convolution with a stride."""

    def build(k: Any, image: Any) -> Any:
        x = k.Conv2D(4, 3, activation="relu", name="stem")(image)
        x = k.DepthwiseConv2D(3, depth_multiplier=2, strides=2, padding="same", name="depthwise")(x)
        x = k.ReLU()(k.Conv2D(4, 1, name="point_a")(x))
        x = k.Conv2D(6, 2, groups=2, padding="same", name="grouped")(x)
        x = k.ReLU()(k.Conv2D(3, 1, strides=2, name="point_b")(x))
        return k.Dense(3)(k.Flatten()(x))

    return _model((9, 8, 2), build)


def composed_windows() -> Any:
    """Convolutions without a ReLU under one without padding: strided, dilated, grouped, and on part of the channels."""

    def build(k: Any, image: Any) -> Any:
        x = k.Conv2D(4, 3, padding="same", name="linear_a")(image)
        x = k.ReLU()(k.Conv2D(4, (2, 3), strides=(1, 2), name="window_a")(x))
        y = k.Conv2D(3, (2, 3), strides=(3, 2), padding="same", name="linear_b")(x)
        y = k.ReLU()(k.DepthwiseConv2D((1, 2), depth_multiplier=2, name="window_b")(y))
        z = k.Concatenate()([x, k.Conv2D(2, 3, dilation_rate=2, padding="same", name="linear_c")(x)])
        z = k.ReLU()(k.Conv2D(3, 2, dilation_rate=(2, 3), name="window_c")(z))
        return k.Dense(3)(k.Concatenate()([k.Flatten()(y), k.Flatten()(z)]))

    return _model((13, 16, 2), build)


def padded_windows() -> Any:
    """Convolutions that pad, after one whose windows hold padding only where the second pads."""

    def build(k: Any, image: Any) -> Any:
        x = k.ReLU()(k.Conv2D(4, 3, padding="same", name="same")(k.Conv2D(3, 1, name="point")(image)))
        y = k.Conv2D(3, 2, strides=2, padding="same", name="blocks")(x)
        y = k.ReLU()(k.DepthwiseConv2D(3, padding="same", name="depthwise")(y))
        z = k.Concatenate()([x, k.Conv2D(2, 1, name="part")(x)])
        z = k.ReLU()(k.Conv2D(3, 5, strides=2, padding="same", groups=3, name="grouped")(z))
        return k.Dense(3)(k.Flatten()(k.Add()([y, z])))

    return _model((8, 6, 2), build)


def averages_of_the_image() -> Any:
    """Average poolings of an image that may be negative, under a convolution that pads and under a dense layer."""

    def build(k: Any, image: Any) -> Any:
        image = k.Rescaling(2.0, -1.0)(image)
        x = k.AveragePooling2D(2, name="half")(image)
        x = k.MaxPooling2D(2)(k.Conv2D(3, 3, padding="same", activation="relu", name="conv")(x))
        y = k.Flatten()(k.AveragePooling2D(3, strides=2, padding="same", name="padded")(image))
        y = k.Dense(4, activation="relu", name="dense")(y)
        return k.Dense(3)(k.Concatenate()([k.Flatten()(x), y, k.ReLU()(k.GlobalAveragePooling2D()(image))]))

    return _model((8, 6, 2), build)


def relu_of_the_image() -> Any:
    """A model that begins with a ReLU."""

    def build(k: Any, image: Any) -> Any:
        x = k.Dense(4, activation="relu", name="hidden")(k.Flatten()(k.ReLU(name="first")(image)))
        return k.Dense(3)(x)

    return _model((5, 4, 2), build)


def subsampled() -> Any:
    """Poolings over windows of one element, between convolutions without a ReLU, as in the shortcuts of ResNetV2."""

    def build(k: Any, image: Any) -> Any:
        x = k.Conv2D(4, 3, padding="same", name="stem")(image)
        y = k.ReLU()(k.BatchNormalization()(x))
        y = k.Conv2D(4, 3, strides=2, padding="same", name="residual")(y)
        x = k.Add()([k.MaxPooling2D(1, strides=2)(x), y])
        x = k.ReLU()(k.BatchNormalization()(k.AveragePooling2D(1, strides=2)(x)))
        return k.Dense(3)(k.Flatten()(x))

    return _model((9, 8, 2), build)


def pools_before_relu() -> Any:
    """Maxima of convolutions without a ReLU: pooled twice, padded and concatenated before the ReLU comes."""

    def build(k: Any, image: Any) -> Any:
        x = k.MaxPooling2D(2)(k.MaxPooling2D(2, strides=1)(k.Conv2D(3, 3, name="conv_a")(image)))
        y = k.MaxPooling2D(2)(k.Conv2D(4, 4, name="conv_b")(image))
        x = k.ReLU()(k.Concatenate()([k.ZeroPadding2D(((0, 0), (1, 0)))(x), k.ZeroPadding2D(((0, 0), (0, 1)))(y)]))
        return k.Dense(3)(k.Flatten()(x))

    return _model((9, 9, 2), build)


def average_of_a_padded_shift() -> Any:
    """A batch norm of spikes, with negative factors and shifts, that is padded with zeros and then averaged."""

    def build(k: Any, image: Any) -> Any:
        x = k.BatchNormalization()(k.Conv2D(4, 3, activation="relu", name="conv")(image))
        x = k.AveragePooling2D(2)(k.ZeroPadding2D(1)(x))
        return k.Dense(3)(k.Flatten()(x))

    return _model((7, 6, 2), build)


def other_activations() -> Any:
    """ReLUs and softmaxes as layers, as functions of keras.ops, and as calls."""

    def build(k: Any, image: Any) -> Any:
        import keras

        x = k.Dense(5, activation=keras.ops.relu, name="a")(image)
        x = k.Dense(5, activation=k.ReLU(6.0), name="b")(x)
        x = keras.activations.relu(k.Dense(4, name="c")(x), max_value=6.0)
        x = k.Activation(keras.ops.relu6)(k.Dense(4, name="d")(x))
        return k.Dense(3, activation=k.Softmax(), name="e")(x)

    return _model((6,), build)


def averages_of_linear() -> Any:
    """Dense blocks as in DenseNet: convolutions without a ReLU, averaged, concatenated, and only then normalised."""

    def build(k: Any, image: Any) -> Any:
        x = k.DepthwiseConv2D(2, strides=2, padding="same", depth_multiplier=2, name="stem")(image)
        x = k.AveragePooling2D(2, 1)(k.Concatenate()([x, k.Conv2D(3, 1, strides=2, name="other_stem")(image)]))
        for name in ("a", "b"):
            y = k.ReLU()(k.BatchNormalization()(x))
            y = k.Conv2D(2, 3, padding="same", name=f"{name}_conv")(y)
            x = k.Concatenate()([x, y])
        x = k.ReLU()(k.BatchNormalization()(x))
        y = k.Add()([k.Conv2D(4, 1, name="transition")(x), k.Conv2D(4, 3, padding="same", name="wide")(x)])
        x = k.BatchNormalization()(k.AveragePooling2D(2)(y))
        return k.Dense(3)(k.GlobalAveragePooling2D()(k.ReLU()(x)))

    return _model((12, 11, 2), build)


def mean_of_linear() -> Any:
    """A global average over a convolution without a ReLU."""

    def build(k: Any, image: Any) -> Any:
        x = k.Conv2D(3, 3, activation="relu", name="stem")(image)
        x = k.GlobalAveragePooling2D()(k.BatchNormalization()(k.Conv2D(4, 2, name="linear")(x)))
        return k.Softmax()(x)

    return _model((6, 5, 2), build)


def pool_before_relu() -> Any:
    """A max pooling between a convolution and its ReLU, a dropout or batch norm too; the second ReLU has a ceiling."""

    def build(k: Any, image: Any) -> Any:
        x = k.BatchNormalization()(k.Conv2D(3, 3, name="conv_a")(image))
        x = k.ReLU()(k.Dropout(0.3)(k.MaxPooling2D(3, 2, padding="same")(x)))
        x = k.MaxPooling2D((1, 2))(k.ZeroPadding2D(1)(k.Conv2D(4, 2, name="conv_b")(x)))
        x = k.Activation("relu6")(k.BatchNormalization(name="norm_b")(x))
        return k.Dense(3)(k.Flatten()(x))

    return _model((9, 8, 2), build)


def late_ceiling() -> Any:
    """A ReLU6 after a ReLU that nothing else reads, and one after a ReLU that something else reads too."""

    def build(k: Any, image: Any) -> Any:
        x = k.ReLU(0.5)(k.Dropout(0.1)(k.Conv2D(3, 2, activation="relu", name="alone")(image)))
        y = k.Conv2D(3, 2, activation="relu", name="shared")(x)
        z = k.ReLU(0.25, name="cut")(y)
        return k.Dense(3)(k.Flatten()(k.Concatenate()([y, z])))

    return _model((5, 5, 2), build)


def shared_layers() -> Any:
    """A ReLU object used twice, a convolution used twice, a nested model used twice."""
    import keras

    inner = keras.Sequential(
        [keras.Input((5, 5, 3)), layers().Conv2D(3, 3, padding="same", activation="relu", name="conv")], name="inner"
    )

    def build(k: Any, image: Any) -> Any:
        relu, conv = k.ReLU(name="relu"), k.Conv2D(3, 3, padding="same", name="twice")
        x = relu(k.Conv2D(3, 1, name="stem")(image))
        x = relu(conv(relu(conv(x))))
        return k.Dense(3)(k.Flatten()(inner(inner(x))))

    return _model((5, 5, 2), build)


def two_norms_of_one() -> Any:
    """A convolution that feeds two batch norms with a ReLU each."""

    def build(k: Any, image: Any) -> Any:
        x = k.Conv2D(3, 3, name="conv")(image)
        left = k.ReLU(name="left")(k.BatchNormalization()(x))
        right = k.ReLU(name="right")(k.BatchNormalization()(x))
        return k.Dense(3)(k.Flatten()(k.Subtract()([left, right])))

    return _model((5, 4, 2), build)


def image_as_numbers() -> Any:
    """Normalization, batch norm and padding of the image before a padded convolution, and a pool of the image."""

    def build(k: Any, image: Any) -> Any:
        x = k.Normalization(mean=[0.4, 0.1], variance=[0.3, 0.5])(image)
        x = k.BatchNormalization()(k.Rescaling(2.0, offset=-0.5)(x))
        x = k.Conv2D(3, 3, padding="same", activation="relu", name="conv")(k.ZeroPadding2D(((1, 0), (0, 2)))(x))
        y = k.AveragePooling2D(2, strides=(2, 1), name="thumb")(image)
        y = k.Conv2D(2, 1, activation="relu", name="of_thumb")(y)
        return k.Dense(3)(k.Concatenate()([k.Flatten()(x), k.Flatten()(y)]))

    return _model((5, 6, 2), build)


def sums_of_spikes() -> Any:
    """Sums of ReLUs that no ReLU follows: into a convolution, a max pool, an average; x + x and (x, x)."""

    def build(k: Any, image: Any) -> Any:
        a = k.Conv2D(4, 3, padding="same", activation="relu", name="a")(image)
        b = k.Conv2D(4, 1, activation="relu", name="b")(image)
        both = k.Add(name="both")([a, b])
        pooled = k.MaxPooling2D(2, name="pooled")(both)
        mean = k.AveragePooling2D(2, name="mean")(k.Average()([a, b]))
        double = k.AveragePooling2D(2, name="of_double")(k.Add(name="double")([a, a]))
        x = k.Concatenate()([pooled, mean, double, double])
        x = k.Conv2D(3, 2, groups=1, activation="relu", name="last")(k.Concatenate()([x, pooled + mean]))
        return k.Dense(3)(k.Flatten()(x))

    return _model((6, 6, 2), build)


def grouped_concatenation() -> Any:
    """Grouped and depthwise convolutions over a concatenation whose branches end inside a group, and a batch norm."""

    def build(k: Any, image: Any) -> Any:
        a = k.Conv2D(3, 3, padding="same", activation="relu", name="a")(image)
        b = k.Conv2D(5, 1, activation="relu", name="b")(image)
        x = k.BatchNormalization()(k.Concatenate()([a, b]))
        y = k.Conv2D(4, 3, groups=2, padding="same", activation="relu", name="halves")(x)
        z = k.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="relu", name="apart")(x)
        rows = k.Concatenate(axis=1)([y, y])
        w = k.Conv2D(2, 3, strides=2, activation="relu", name="tall")(rows)
        return k.Dense(3)(k.Concatenate()([k.Flatten()(w), k.Flatten()(z)]))

    return _model((5, 5, 2), build)


def norm_through_pools() -> Any:
    """Batch norms after the ReLU that pass two pools of a concatenation before a padded convolution."""

    def build(k: Any, image: Any) -> Any:
        a = k.BatchNormalization()(k.Conv2D(3, 3, padding="same", activation="relu", name="a")(image))
        b = k.BatchNormalization(scale=False)(k.Conv2D(2, 1, activation="relu", name="b")(image))
        x = k.MaxPooling2D(2, name="maximum")(k.Concatenate()([a, b]))
        x = k.AveragePooling2D(3, 1, padding="same", name="mean")(k.BatchNormalization(center=False)(x))
        x = k.Conv2D(3, 3, padding="same", activation="relu", name="last")(k.Cropping2D(((0, 1), (1, 0)))(x))
        return k.Dense(3)(k.GlobalMaxPooling2D(name="top")(k.BatchNormalization()(x)))

    return _model((8, 8, 2), build)


def dense_on_rows() -> Any:
    """Dense layers on the last axis of two and three axes."""

    def build(k: Any, image: Any) -> Any:
        x = k.Dense(4, activation="relu", name="per_pixel")(image)
        x = k.Reshape((5, 16))(x)
        x = k.Dense(3, activation="relu", name="per_row")(x)
        return k.Dense(3)(k.Flatten()(x))

    return _model((5, 4, 2), build)


def ends_in_relu() -> Any:
    """A model whose last layer is a ReLU."""
    return _model((6,), lambda k, image: k.Dense(3, activation="relu", name="top")(k.Dense(4, "relu")(image)))


def ends_in_average() -> Any:
    """A model whose last layer is a global average of spikes, under a softmax."""

    def build(k: Any, image: Any) -> Any:
        x = k.Conv2D(3, 3, activation="relu", name="conv")(image)
        return k.Activation("softmax")(k.GlobalAveragePooling2D(name="average")(x))

    return _model((5, 5, 2), build)


def ends_in_norm() -> Any:
    """A model whose last layer is a batch norm of spikes."""

    def build(k: Any, image: Any) -> Any:
        return k.BatchNormalization(name="top")(k.Dense(4, activation="relu", name="hidden")(image))

    return _model((6,), build)


CASES: dict[str, Callable[[], Any]] = {
    function.__name__: function
    for function in (
        preactivation_resnet,
        linear_bottlenecks,
        composed_dense,
        composed_pointwise,
        composed_windows,
        padded_windows,
        averages_of_the_image,
        relu_of_the_image,
        subsampled,
        pools_before_relu,
        average_of_a_padded_shift,
        other_activations,
        averages_of_linear,
        mean_of_linear,
        pool_before_relu,
        late_ceiling,
        shared_layers,
        two_norms_of_one,
        image_as_numbers,
        sums_of_spikes,
        grouped_concatenation,
        norm_through_pools,
        dense_on_rows,
        ends_in_relu,
        ends_in_average,
        ends_in_norm,
    )
}
