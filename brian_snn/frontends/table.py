"""The front ends: what reads the models of a framework, and what that framework itself computes.

Each is a line of `FRONT_ENDS`, and its module has a record `FRONT_END`. It is imported when a model of its kind is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.errors import ModelError
from brian_snn.frontends.layer_graph import LayerGraph
from brian_snn.frontends.sizes import check_sizes
from brian_snn.frontends.until import cut, ending_in
from brian_snn.network.network import Network
from brian_snn.network.records import Projection

#: Of one image, for each input of a model.
Shapes = Sequence[tuple[int, ...]] | Mapping[str, tuple[int, ...]]

#: From (n_images, *shape of the source) to (n_images, size of the target).
Map = Callable[[NDArray[Any]], FloatArray]


@dataclass(frozen=True)
class FrontEnd:
    """What is known of the models of a framework.

    Parameters
    ----------
    name : str
        Of the framework, for messages.
    packages : tuple of str
        Whose versions belong to the provenance of a network.
    load : callable
        From the path of a file to a model.
    read : callable
        From a model to its `LayerGraph`; what cannot be converted is a node that carries its error.
    references : callable
        From (model, network, batches of images, dtype or None for the model's own) to the activations of every
        population, batch by batch: what the framework computes, after the ReLU, for the readout before its activation.
    scores : callable
        From (model, images) to the model's own outputs.
    of_shape : callable, optional
        From (model, callable that returns the shape of an image, for each input in order or by name) to a model that
        takes images of those shapes alone, where it takes others too.
    projection_map : callable, optional
        From (projection, size of the target) to the linear map as a layer of the framework computes it, for `verify`;
        None where there is none that shares no code with ours.
    weights_of : callable, optional
        From the path of a file to that of a second one which holds weights, whether there is one or not.
    """

    name: str
    packages: tuple[str, ...]
    load: Callable[[Path], Any]
    read: Callable[[Any], LayerGraph]
    references: Callable[[Any, Network, Iterable[NDArray[np.generic]], str | None], Iterator[dict[str, FloatArray]]]
    scores: Callable[[Any, NDArray[np.generic]], FloatArray]
    of_shape: Callable[[Any, Callable[[], Shapes]], Any] | None = None
    projection_map: Callable[[Projection, int], Map] | None = None
    weights_of: Callable[[Path], Path] | None = None


@dataclass(frozen=True)
class Line:
    """Where a front end is, and what is its business.

    Parameters
    ----------
    module : str
        Has `FRONT_END`.
    suffixes : tuple of str
        Of its files.
    libraries : tuple of str
        Packages in which the classes of its models are, or those that they are derived from.
    """

    module: str
    suffixes: tuple[str, ...]
    libraries: tuple[str, ...]

    def front_end(self) -> FrontEnd:
        """Import the front end."""
        found: FrontEnd = import_module(self.module).FRONT_END
        return found


#: All front ends.
FRONT_ENDS = [
    Line("brian_snn.frontends.keras.entry", (".keras", ".h5", ".hdf5"), ("keras", "tensorflow", "tf_keras")),
    Line("brian_snn.frontends.onnx.entry", (".onnx",), ("onnx",)),
]


def packages_of_models() -> tuple[str, ...]:
    """Return the packages whose versions matter for what is read."""
    return tuple(name for line in FRONT_ENDS for name in line.front_end().packages)


def suffixes() -> str:
    """Return the endings of all files that are read, in words."""
    *others, last = (suffix for line in FRONT_ENDS for suffix in line.suffixes)
    return f"{', '.join(others)} or {last}"


_TORCH = " Export a PyTorch model with torch.onnx.export: its own files hold pickles, which are never read."
_TENSORFLOW = (
    " It is a graph of TensorFlow without Keras layers: where it was made, save the model with "
    "model.save('model.keras'), or turn the file into ONNX with tf2onnx."
)

#: What to do with files of other kinds, by their endings.
_ELSEWHERE = {
    **dict.fromkeys((".pt", ".pth", ".pt2", ".ckpt", ".bin", ".safetensors"), _TORCH),
    **dict.fromkeys((".pb", ".tflite"), _TENSORFLOW),
    **dict.fromkeys((".json", ".yaml"), " An architecture alone has no weights; save the whole model."),
}


def is_model_file(path: Path) -> bool:
    """Whether a file has the name of a trained model."""
    return any(path.suffix.lower() in line.suffixes for line in FRONT_ENDS)


def front_end_of_file(path: Path) -> FrontEnd:
    """Return the front end for a file, by its suffix.

    Raises
    ------
    ModelError
        If there is none; the message lists the suffixes there are.
    """
    for line in FRONT_ENDS:
        if path.suffix.lower() in line.suffixes:
            return line.front_end()
    if not path.is_file():
        # What is wrong with a folder, or with nothing at all, any of them says.
        return FRONT_ENDS[0].front_end()
    advice = _ELSEWHERE.get(path.suffix.lower(), "")
    raise ModelError(f"model {path}: its name ends in {path.suffix!r}; model files end in {suffixes()}.{advice}")


def front_end_of(model: Any) -> FrontEnd:
    """Return the front end for a model, by the package of its class.

    Raises
    ------
    ModelError
        If there is none; the message lists the packages there are.
    """
    packages = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    for line in FRONT_ENDS:
        if packages.intersection(line.libraries):
            return line.front_end()
    known = ", ".join(library for line in FRONT_ENDS for library in line.libraries)
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    raise ModelError(f"the model is a {kind}; models of {known} are read, or the paths of their files.")


def load_model(path: str | Path) -> Any:
    """Load a model from a file, without running code that the file may hold.

    Raises
    ------
    ModelError
        If there is no such file, if no front end reads files of its kind, or if it is damaged or holds code.
    """
    return front_end_of_file(Path(path)).load(Path(path))


def convertible(graph: LayerGraph, until: str | None = None, outputs: Sequence[str] = ()) -> LayerGraph:
    """Return a graph, or what a layer or some outputs of it need, all of which can be converted.

    Raises
    ------
    ModelError
        If a layer cannot be converted or is too large, or there is no layer of a name; the message names it.
    """
    if until is not None:
        graph = cut(graph, until)
    elif outputs:
        graph = ending_in(graph, outputs)
    graph.require_readable()
    check_sizes(list(graph.nodes))
    return graph


def reference_activations(
    model: Any, network: Network, images: NDArray[np.generic], batch_size: int = 32, dtype: str | None = None
) -> dict[str, FloatArray]:
    """Return what the model's own framework computes for every population.

    Parameters
    ----------
    model
        The model that was converted. It is not changed.
    network : Network
        What it was folded into.
    images : (n_images, *input_shape) array
        Pixels as the model takes them.
    batch_size : int
        Images that go through the model at a time.
    dtype : str, optional
        Precision in which it computes, such as ``float64``; by default the model's own.

    Returns
    -------
    activations : dict of (n_images, *shape) float array
        By population name, in the units of the model: after the ReLU, for the readout before its activation.
    """
    parts = list(front_end_of(model).references(model, network, in_batches(images, batch_size), dtype))
    return {
        population.name: np.concatenate([part[population.name] for part in parts]) for population in network.populations
    }


def scores_of(model: Any, images: NDArray[np.generic]) -> FloatArray:
    """Return a model's own outputs, (n_images, *output shape)."""
    return front_end_of(model).scores(model, images)


def in_batches(images: NDArray[np.generic], batch_size: int) -> Iterator[NDArray[np.generic]]:
    """Yield the images in batches."""
    for start in range(0, len(images), batch_size):
        yield images[start : start + batch_size]


def projection_map(projection: Projection, target_size: int) -> Map:
    """Return a projection as a layer of a framework computes it, which shares no code with ours.

    Parameters
    ----------
    projection : Projection
        Max pooling, which has no weights, yields the largest value of each window.
    target_size : int
        Number of neurons of the target.
    """
    maps = (line.front_end().projection_map for line in FRONT_ENDS)
    return next(make for make in maps if make is not None)(projection, target_size)
