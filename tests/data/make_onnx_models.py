"""Write the ONNX models of tests/data/onnx, small networks with random weights as PyTorch exports them.

    python -m venv env && env/bin/pip install torch onnx onnxscript
    env/bin/python tests/data/make_onnx_models.py

Each architecture is written by both exporters: the older one (``dynamo=False``) with the operators of version 11, and
the newer one with the newest. They write different graphs. The weights, and the statistics of the batch norms, are far
from those of a new model, at which norms do nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional

FOLDER = Path(__file__).parent / "onnx"


def convolution(n_in: int, n_out: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that keeps rows and columns at stride 1."""
    return nn.Conv2d(n_in, n_out, size, stride, size // 2, groups=groups, bias=False)


def cnn() -> nn.Module:
    """Return a plain network for digits, with an average that counts its padding, and a softmax."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2, padding=1),
        nn.Flatten(),
        nn.Linear(8 * 2 * 2, 12),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(12, 10),
        nn.Softmax(-1),
    )


class Residual(nn.Module):
    """The basic block of ResNet-18."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        """Make the layers."""
        super().__init__()
        self.conv1, self.bn1 = convolution(n_in, n_out, stride=stride), nn.BatchNorm2d(n_out)
        self.conv2, self.bn2 = convolution(n_out, n_out), nn.BatchNorm2d(n_out)
        self.downsample = nn.Sequential()
        if stride > 1 or n_in != n_out:
            self.downsample = nn.Sequential(convolution(n_in, n_out, 1, stride), nn.BatchNorm2d(n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of both branches."""
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + self.downsample(x))


class ResNet(nn.Module):
    """A narrow ResNet-18."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        blocks = [Residual(4, 4, 1), Residual(4, 4, 1)]
        for n_in, n_out in ((4, 6), (6, 8), (8, 8)):
            blocks += [Residual(n_in, n_out, 2), Residual(n_out, n_out, 1)]
        self.blocks, self.average, self.fc = nn.Sequential(*blocks), nn.AdaptiveAvgPool2d(1), nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.fc(torch.flatten(self.average(self.blocks(self.pool(self.stem(x)))), 1))


class Vgg(nn.Module):
    """A narrow VGG with batch norms; it flattens with view."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in ((3, 4), (4, 6), (6, 8)):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(2, 2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(8 * 16, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        y = self.features(x)
        return self.classifier(y.view(y.size(0), -1))


class Inverted(nn.Module):
    """The inverted residual block of MobileNetV2, with or without the sum."""

    def __init__(self, n_in: int, n_out: int, stride: int, expansion: int) -> None:
        """Make the layers."""
        super().__init__()
        wide = n_in * expansion
        self.adds = stride == 1 and n_in == n_out
        self.layers = nn.Sequential(
            *(convolution(n_in, wide, 1), nn.BatchNorm2d(wide), nn.ReLU6()),
            *(convolution(wide, wide, stride=stride, groups=wide), nn.BatchNorm2d(wide), nn.ReLU6()),
            *(convolution(wide, n_out, 1), nn.BatchNorm2d(n_out)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the layers make, with the input added where the shapes allow it."""
        return x + self.layers(x) if self.adds else self.layers(x)


class MobileNet(nn.Module):
    """A narrow MobileNetV2, which pools with mean."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.stem = nn.Sequential(convolution(3, 4, stride=2), nn.BatchNorm2d(4), nn.ReLU6())
        self.blocks = nn.Sequential(Inverted(4, 4, 1, 2), Inverted(4, 6, 2, 3), Inverted(6, 6, 1, 3))
        self.head = nn.Sequential(convolution(6, 12, 1), nn.BatchNorm2d(12), nn.ReLU6())
        self.fc = nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.fc(self.head(self.blocks(self.stem(x))).mean([2, 3]))


class DenseLayer(nn.Module):
    """A layer of DenseNet: norm, ReLU, 1x1, norm, ReLU, 3x3, behind all that was before."""

    def __init__(self, n_in: int, growth: int) -> None:
        """Make the layers."""
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.BatchNorm2d(n_in), nn.ReLU(), convolution(n_in, 2 * growth, 1)),
            *(nn.BatchNorm2d(2 * growth), nn.ReLU(), convolution(2 * growth, growth)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input with new channels behind it."""
        return torch.cat([x, self.layers(x)], 1)


def densenet() -> nn.Module:
    """Return a narrow DenseNet with a transition."""
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        *(DenseLayer(4, 3), DenseLayer(7, 3)),
        *(nn.BatchNorm2d(10), nn.ReLU(), convolution(10, 5, 1), nn.AvgPool2d(2)),
        *(DenseLayer(5, 3), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)),
    )


class Perceptron(nn.Module):
    """A multilayer perceptron on vectors, with a norm and a product written as an operator."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(20, 16), nn.BatchNorm1d(16), nn.Linear(16, 12, bias=False)
        self.third = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logarithms of probabilities."""
        x = functional.relu(self.norm(self.first(x / 2 - 0.25)))
        x = torch.clamp(x @ self.second.weight.T + 0.1, 0, 1)
        return functional.log_softmax(self.third(x), dim=1)


class Series(nn.Module):
    """Convolutions over time, with a dilated one and a pooling."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv1d(3, 6, 5, padding=2), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2)),
            *(nn.Conv1d(6, 8, 3, padding=2, dilation=2), nn.ReLU(), nn.AvgPool1d(2)),
            *(nn.Conv1d(8, 8, 3, stride=2, groups=2), nn.ReLU()),
        )
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of the last moment's neighbours, the maximum over time."""
        return self.fc(self.layers(x).amax(-1))


class Shuffle(nn.Module):
    """A unit of ShuffleNet: channels that are split, shuffled and put together."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.stem = nn.Sequential(convolution(3, 8), nn.BatchNorm2d(8), nn.ReLU())
        self.branch = nn.Sequential(convolution(4, 4), nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        x = self.stem(x)
        one, other = x.chunk(2, dim=1)
        x = torch.cat((one, self.branch(other)), dim=1)
        n, c, h, w = x.size()
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        return self.fc(functional.relu(x).mean((2, 3)))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "cnn": (cnn, (1, 16, 16)),
    "resnet": (ResNet, (3, 32, 32)),
    "vgg": (Vgg, (3, 32, 32)),
    "mobilenet": (MobileNet, (3, 16, 16)),
    "densenet": (densenet, (3, 12, 12)),
    "mlp": (Perceptron, (20,)),
    "series": (Series, (3, 40)),
    "shuffle": (Shuffle, (3, 8, 8)),
}


def with_random_weights(model: nn.Module, seed: int) -> nn.Module:
    """Return a model with weights and statistics as after a training, ready for use."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.3, 2.0, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
        elif hasattr(module, "weight"):
            module.weight.data.normal_(0, (2 / module.weight[0].numel()) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.data.normal_(0, 0.1, generator=generator)
    return model.eval()


def write(name: str, seed: int) -> None:
    """Export a model with both exporters."""
    make, shape = MODELS[name]
    model, example = with_random_weights(make(), seed), torch.zeros(2, *shape)
    torch.onnx.export(
        model,
        (example,),
        FOLDER / f"{name}_old.onnx",
        dynamo=False,
        opset_version=11,
        input_names=["images"],
        output_names=["scores"],
        dynamic_axes={"images": {0: "n"}, "scores": {0: "n"}},
    )
    program = torch.onnx.export(
        model, (example,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("n")},), input_names=["images"]
    )
    # What it notes of Python code and types is most of the file.
    proto = program.model_proto
    for node in proto.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        value.ClearField("metadata_props")
    del proto.graph.value_info[:]
    onnx.save(proto, FOLDER / f"{name}_new.onnx")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for number, each in enumerate(MODELS):
        write(each, number)
