"""Hypothesis strategies: random architectures of up to four weighted layers, and settings to simulate them with.

An `Architecture` is a plain record, so that a failing example prints as something that can be typed in again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.models import layers, trained_like

if TYPE_CHECKING:
    import keras

MIXING = ("conv", "depthwise", "separable")
POOLS = ("max_pool", "average_pool")
BRANCHES = ("residual", "projected_residual", "inception")


@dataclass(frozen=True)
class Block:
    """One step of an architecture.

    Parameters
    ----------
    kind : str
        One of `MIXING`, `POOLS` or `BRANCHES`.
    filters : int
        Output channels; of ``depthwise``, the multiplier. Made even where there are groups.
    kernel, strides, dilation : (int, int)
    padding : str
        ``same`` or ``valid``; a window that does not fit becomes ``same``.
    groups : int
        Of ``conv``, where both channel counts allow it.
    bias : bool
    norm : str
        ``none``, ``before`` or ``after`` the ReLU.
    relu : str
        ``fused``, ``layer`` or ``relu6``.
    zero_padding : bool
        Of ``conv``: a ZeroPadding2D in front.
    """

    kind: str
    filters: int = 2
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: str = "same"
    groups: int = 1
    bias: bool = True
    norm: str = "none"
    relu: str = "fused"
    zero_padding: bool = False


@dataclass(frozen=True)
class Architecture:
    """A whole model: image, blocks, head, and the seed of its weights.

    Parameters
    ----------
    input_shape : (int, int, int)
    blocks : tuple of Block
    permute, global_average : bool
        What happens before the flat head.
    hidden : int
        Neurons of a hidden dense layer, 0 for none.
    softmax : str
        ``fused``, ``layer`` or ``none``.
    seed : int
    """

    input_shape: tuple[int, int, int]
    blocks: tuple[Block, ...]
    permute: bool = False
    global_average: bool = False
    hidden: int = 0
    softmax: str = "fused"
    seed: int = 0

    @property
    def outline(self) -> tuple[str, ...]:
        """Return what the model is made of, without sizes: two models of one outline are alike."""
        norms = ("" if block.kind in POOLS else f" norm {block.norm}" for block in self.blocks)
        return tuple(block.kind + norm for block, norm in zip(self.blocks, norms, strict=True))

    def build(self) -> keras.Model:
        """Return the Keras model, its weights drawn from the seed."""
        import keras

        image = keras.Input(self.input_shape)
        x = image
        for index, block in enumerate(self.blocks):
            x = _APPLY[block.kind](f"block{index}", block, x)
        return trained_like(keras.Model(image, self._head(x)), self.seed)

    def _head(self, x: Any) -> Any:
        k = layers()
        if self.permute:
            x = k.Permute((3, 1, 2), name="permute")(x)
        x = k.GlobalAveragePooling2D(name="average")(x) if self.global_average else k.Flatten(name="flatten")(x)
        if self.hidden:
            x = k.Dense(self.hidden, activation="relu", name="hidden")(k.Dropout(0.3, name="dropout")(x))
        x = k.Dense(3, activation="softmax" if self.softmax == "fused" else None, name="logits")(x)
        return k.Activation("softmax", name="softmax")(x) if self.softmax == "layer" else x


def _fits(block: Block, x: Any) -> str:
    """Return the padding that leaves at least one window."""
    spans = [(size - 1) * step + 1 for size, step in zip(block.kernel, block.dilation, strict=True)]
    return block.padding if all(span <= size for span, size in zip(spans, x.shape[1:3], strict=True)) else "same"


def _activated(name: str, block: Block, make: Callable[..., Any], x: Any) -> Any:
    """Apply a layer, its ReLU (fused or not) and its batch norm, before or after the ReLU."""
    k = layers()
    norm = k.BatchNormalization(name=f"{name}_norm")
    fused = block.relu == "fused" and block.norm != "before"
    x = make(activation="relu" if fused else None, name=name)(x)
    x = norm(x) if block.norm == "before" else x
    if not fused:
        x = k.ReLU(max_value=6.0 if block.relu == "relu6" else None, name=f"{name}_relu")(x)
    return norm(x) if block.norm == "after" else x


def _conv(name: str, block: Block, x: Any) -> Any:
    k = layers()
    x = k.ZeroPadding2D(((1, 0), (0, 2)), name=f"{name}_pad")(x) if block.zero_padding else x
    groups = block.groups if x.shape[-1] % block.groups == 0 else 1

    def make(**names: Any) -> Any:
        return k.Conv2D(
            block.filters * groups,
            block.kernel,
            strides=block.strides if block.dilation == (1, 1) else 1,
            dilation_rate=block.dilation,
            padding=_fits(block, x),
            groups=groups,
            use_bias=block.bias,
            **names,
        )

    return _activated(name, block, make, x)


def _depthwise(name: str, block: Block, x: Any) -> Any:
    def make(**names: Any) -> Any:
        return layers().DepthwiseConv2D(
            block.kernel,
            strides=block.strides[0],
            depth_multiplier=min(block.filters, 2),
            padding=_fits(block, x),
            use_bias=block.bias,
            **names,
        )

    return _activated(name, block, make, x)


def _separable(name: str, block: Block, x: Any) -> Any:
    def make(**names: Any) -> Any:
        return layers().SeparableConv2D(
            block.filters,
            block.kernel,
            strides=block.strides[0],
            padding=_fits(block, x),
            use_bias=block.bias,
            **names,
        )

    return _activated(name, block, make, x)


def _pool(name: str, block: Block, x: Any) -> Any:
    k = layers()
    kind = k.MaxPooling2D if block.kind == "max_pool" else k.AveragePooling2D
    return kind(block.kernel, block.strides, padding=_fits(block, x), name=name)(x)


def _residual(name: str, block: Block, x: Any) -> Any:
    """Add a branch of one convolution to the identity, or to a 1x1 projection of it."""
    k = layers()
    projected = block.kind == "projected_residual"
    filters = block.filters if projected else x.shape[-1]
    strides = block.strides if projected else 1
    y = k.Conv2D(filters, block.kernel, strides=strides, padding="same", use_bias=block.bias, name=f"{name}_conv")(x)
    y = k.BatchNormalization(name=f"{name}_norm")(y) if block.norm == "before" else y
    shortcut = k.Conv2D(filters, 1, strides=strides, name=f"{name}_short")(x) if projected else x
    x = k.ReLU(name=f"{name}_relu")(k.Add(name=name)([shortcut, y]))
    return k.BatchNormalization(name=f"{name}_after")(x) if block.norm == "after" else x


def _inception(name: str, block: Block, x: Any) -> Any:
    """Concatenate a 1x1 branch, a wider one and a pooled one."""
    k = layers()
    one = _activated(f"{name}_one", block, lambda **names: k.Conv2D(block.filters, 1, **names), x)
    wide = k.Conv2D(2, block.kernel, padding="same", activation="relu", name=f"{name}_wide")(x)
    pool = k.AveragePooling2D if block.bias else k.MaxPooling2D
    pooled = pool(block.kernel, 1, padding="same", name=f"{name}_pool")(wide)
    return k.Concatenate(name=name)([one, wide, pooled])


_APPLY: dict[str, Callable[[str, Block, Any], Any]] = {
    "conv": _conv,
    "depthwise": _depthwise,
    "separable": _separable,
    "max_pool": _pool,
    "average_pool": _pool,
    "residual": _residual,
    "projected_residual": _residual,
    "inception": _inception,
}


def blocks(kinds: tuple[str, ...]) -> st.SearchStrategy[Block]:
    """Draw a block of one of the kinds."""
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    steps = st.tuples(st.integers(1, 2), st.integers(1, 2))
    return st.builds(
        Block,
        kind=st.sampled_from(kinds),
        filters=st.integers(1, 4),
        kernel=pairs,
        strides=steps,
        dilation=st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 2)]),
        padding=st.sampled_from(["same", "valid"]),
        groups=st.sampled_from([1, 1, 2]),
        bias=st.booleans(),
        norm=st.sampled_from(["none", "before", "after"]),
        relu=st.sampled_from(["fused", "layer", "relu6"]),
        zero_padding=st.booleans(),
    )


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """Draw a model: a first weighted layer, up to two further blocks, perhaps pools between them, a head."""
    shape = draw(st.tuples(st.integers(4, 8), st.integers(4, 8), st.integers(1, 3)))
    chosen = [draw(blocks(MIXING))]
    for _ in range(draw(st.integers(0, 2))):
        if draw(st.booleans()):
            chosen.append(draw(blocks(POOLS)))
        chosen.append(draw(blocks((*MIXING, *BRANCHES))))
    if draw(st.booleans()):
        chosen.append(draw(blocks(POOLS)))
    head = draw(st.sampled_from(["flat", "permuted", "average"]))
    return Architecture(
        shape,
        tuple(chosen),
        permute=head == "permuted",
        global_average=head == "average",
        hidden=draw(st.sampled_from([0, 5])),
        softmax=draw(st.sampled_from(["fused", "layer", "none"])),
        seed=draw(st.integers(0, 2**16)),
    )


@dataclass(frozen=True)
class Run:
    """Settings of one conversion and simulation, named as in the public functions."""

    steps: int
    reset: str
    threshold: float
    v_init: float
    clamp: int
    readout: str
    percentile: float

    def simulation(self) -> dict[str, Any]:
        """Return the keywords that `simulate` and the oracle share."""
        return {name: value for name, value in vars(self).items() if name != "percentile"}


def runs() -> st.SearchStrategy[Run]:
    """Draw settings: both resets, thresholds and initial potentials off the grid too, short clamps."""
    return st.builds(
        Run,
        steps=st.integers(12, 40),
        reset=st.sampled_from(["subtraction", "zero"]),
        threshold=st.sampled_from([1.0, 0.5, 1.75, 0.7, 3.0]),
        v_init=st.sampled_from([0.0, 0.5, -0.25, 0.1, 1.2]),
        clamp=st.integers(0, 3),
        readout=st.sampled_from(["potential", "spikes"]),
        percentile=st.sampled_from([99.9, 100.0, 90.0]),
    )
