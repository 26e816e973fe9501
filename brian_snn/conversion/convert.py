"""From a trained model to a spiking network: the stages of the conversion, in order.

=========================  ===============================================  ===========================================
stage                      takes                                            gives
=========================  ===============================================  ===========================================
`load_model`               path of a file                                   the model, of whatever framework
`FrontEnd.read`            model                                            `LayerGraph`, a record of every layer
`convertible`              `LayerGraph`, a layer to stop at                 `LayerGraph` of what can be converted
`fold`                     `LayerGraph`                                     `Network`, linear layers folded, lambda = 1
`check_images`             calibration images, shape of the model's input   the same as float64, finite, of that shape
`calibrate`                `Network`, images, percentiles                   `Calibration`, the scales of its populations
`Calibration.normalised`   percentile, normalisation                        `Network`, rates at most about r_max
`check_against_reference`  model, `Network`, images                         nothing; raises where the two disagree
`round_to_grid`            `Network`, grid                                  `Network` whose sums are exact in float64
`quantise`                 `Network`, bits of weights                       instead: weights are integers times 2**k
=========================  ===============================================  ===========================================

`convert` calls them and adds the provenance; `calibrated` leaves percentile and normalisation open. No stage changes
what it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from brian_snn.blas import one_blas_thread
from brian_snn.conversion.check import check_against_reference
from brian_snn.conversion.fold import fold
from brian_snn.conversion.normalise import Calibration, calibrate, finest_grid, require_finite, round_to_grid
from brian_snn.conversion.quantise import quantise
from brian_snn.conversion_settings import Conversion
from brian_snn.datasets import check_images, load_images
from brian_snn.escaping import shown
from brian_snn.frontends.table import FrontEnd, Shapes, convertible, front_end_of, load_model
from brian_snn.inputs import as_one
from brian_snn.network.network import Network
from brian_snn.progress import Progress, bar
from brian_snn.reading import sha256_of
from brian_snn.version import __version__


def convert(
    model: Any,
    calibration_images: ArrayLike | str | Path,
    percentile: float = 99.9,
    normalisation: str = "layer",
    grid: float | str = 2**-24,
    until: str | None = None,
    average_pooling: str = "spiking",
    outputs: Sequence[str] = (),
    grid_steps: int = 1000,
    weight_grid: float | None = None,
    weight_bits: int | None = None,
    weight_scales: str = "layer",
    finer_biases: int = 0,
    progress: Progress | bool | None = None,
) -> Network:
    """Convert a trained model to a network of spiking neurons.

    The scale lambda of a population is a percentile of its positive activations over the calibration images; weights
    become ``W lambda_source / lambda``, biases ``b / lambda``, and both are rounded to multiples of `grid`. Before the
    rounding every population is compared with what its own framework computes for the calibration images.

    Parameters
    ----------
    model : object, str or Path
        A model of a framework in `brian_snn.frontends.table`, or the file of one.
    calibration_images : (n_images, *input_shape) array_like, dict of them, str or Path
        Images like those that the model was trained on, or a file or folder of them that
        `brian_snn.datasets.load_images` reads; of a model with several inputs a dict of arrays by their names, or an
        ``.npz`` of them. Where the model takes images of any size, theirs is that of the network.
    percentile : float
        Of the positive activations that becomes lambda, in per cent.
    normalisation : str
        ``layer``: one lambda per population; ``channel``: one per channel.
    grid : float or "auto"
        Weights, biases and currents become multiples of this power of two; ``auto``: the finest that the bound on V
        allows for `grid_steps`.
    until : str, optional
        Convert only what this layer of the model needs (``outer/inner`` for a layer of a nested model). The batch norm
        and the ReLU that follow it belong to it. Its neurons, which spike, are the output; what comes after it may be
        of any kind.
    average_pooling : str
        ``spiking``: an average is a population of its own, as in the paper; ``linear``: it is composed into the next
        linear layer, as converters of PyTorch models do, with fewer neurons and more synapses.

    outputs : sequence of str
        Layers to read out, each by neurons of its own that integrate; by default all outputs of the model. Of several
        `Result.heads` has the logits of each.
    grid_steps : int
        Steps for which a grid of ``auto`` leaves room.
    weight_grid : float, optional
        A coarser power of two for weights and biases; then currents alone are as fine as the grid.
    weight_bits : int, optional
        Weights become signed integers of so many bits times a power of two, see `brian_snn.quantise`.
    weight_scales : str
        ``layer`` or ``channel``: what shares that power of two, a projection or an output channel of it.
    finer_biases : int
        Bits by which biases are finer than such weights.
    progress : callable or bool, optional
        Called with (done, total): layers that are scaled, then batches of images that are compared with the model.
        True, False and the default are those of `brian_snn.Execution`.

    Returns
    -------
    network : Network
        The spiking network, ready for `brian_snn.simulate`.

    Raises
    ------
    ModelError
        If the model cannot be read, a layer has no spiking form or there is no layer `until`, or if the result
        disagrees with the model.
    DataError
        If the calibration images are not finite numbers of the model's input shape.
    SettingError
        If percentile, normalisation, grid or bits are outside their range.
    """
    how = (percentile, normalisation, grid, grid_steps, weight_grid, until, outputs, average_pooling)
    conversion = Conversion(*how, weight_bits, weight_scales, finer_biases)  # type: ignore[arg-type]
    ways = [(conversion.percentile, conversion.normalisation)]
    prepared = calibrated(model, calibration_images, conversion, ways, progress)
    return prepared.network(conversion.percentile, conversion.normalisation)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A model that is folded, calibrated and compared with its own framework; any of its scales makes a network of it.

    Parameters
    ----------
    calibration : Calibration
    conversion : Conversion
        How the network is rounded; its percentile and normalisation are left to `network`.
    provenance : dict of str to str
    """

    calibration: Calibration
    conversion: Conversion
    provenance: Mapping[str, str]

    def network(self, percentile: float, normalisation: str) -> Network:
        """Return the network that `convert` returns for a percentile and a normalisation that were measured."""
        with one_blas_thread():
            network = self.calibration.normalised(percentile, normalisation)
        network = replace(network, provenance=dict(self.provenance))
        return _rounded(network, self.conversion, max(map(abs, self.calibration.pixel_range)))


def calibrated(
    model: Any,
    calibration_images: ArrayLike | str | Path,
    conversion: Conversion,
    ways: Sequence[tuple[float, str]],
    progress: Progress | bool | None = None,
) -> Calibrated:
    """Fold a model and measure its scales for several pairs of a percentile and a normalisation.

    What is compared with the model's own framework is the network of the first pair. Parameters and errors are those of
    `convert`.
    """
    path = Path(model) if isinstance(model, str | Path) else None
    if path:
        model = load_model(path)
    front_end = front_end_of(model)
    if front_end.of_shape is not None:
        model = front_end.of_shape(model, lambda: _shapes_of(calibration_images))
    graph = convertible(front_end.read(model), conversion.until, conversion.outputs)
    with np.errstate(over="ignore", invalid="ignore"):
        folded = fold(graph, conversion.average_pooling)
    require_finite(folded, "when its linear layers are folded into one")
    if isinstance(calibration_images, str | Path):
        images = load_images(Path(calibration_images), folded.input_shape, "calibration", inputs=folded.inputs).images
    else:
        together = as_one(calibration_images, folded.inputs, "calibration images")
        images = check_images(together, folded.input_shape, "calibration images")
    # Many of its products are small: several threads of a BLAS would spend most of the time waiting for each other.
    with one_blas_thread():
        with bar(progress, "scale", "layers") as shown:
            calibration = calibrate(folded, images, ways, shown)
        with bar(progress, "compare with the model", "batches") as shown:
            check_against_reference(model, calibration.normalised(*ways[0]), images, progress=shown)
    return Calibrated(calibration, conversion, _provenance(graph.name, front_end, path, conversion))


def _rounded(network: Network, conversion: Conversion, largest_input: float) -> Network:
    """Round a normalised network as the conversion says."""
    fine = conversion.grid
    if isinstance(fine, str):
        fine = finest_grid(network, conversion.grid_steps, largest_input)
    if conversion.weight_bits is None:
        return round_to_grid(network, fine, conversion.weight_grid)
    return quantise(network, conversion.weight_bits, conversion.weight_scales, conversion.finer_biases, fine)


def _shapes_of(images: Any) -> Shapes:
    """Return the shape of one calibration image, of several inputs by their names."""
    if isinstance(images, str | Path):
        return [load_images(Path(images), role="calibration").images.shape[1:]]
    if isinstance(images, Mapping):
        return {name: np.shape(array)[1:] for name, array in images.items()}
    if isinstance(images, list | tuple) and len({np.shape(array) for array in images}) > 1:
        return [np.shape(array)[1:] for array in images]
    return [check_images(images, None, "calibration images").shape[1:]]


def _provenance(name: str, front_end: FrontEnd, path: Path | None, conversion: Conversion) -> dict[str, str]:
    """Return the name and hash of the model, the layer at which it was cut, and the versions at work."""
    versions = {"brian_snn": __version__, **{p: version(p) for p in front_end.packages}, "numpy": np.__version__}
    source = {"file": shown(path.name), "sha256": sha256_of(path)} if path else {}
    weights = front_end.weights_of(path) if path and front_end.weights_of else None
    if weights is not None and weights.is_file():
        source["weights_sha256"] = sha256_of(weights)
    part = {} if conversion.until is None else {"until": conversion.until}
    part |= {"outputs": ", ".join(map(shown, conversion.outputs))} if conversion.outputs else {}
    part |= {} if conversion.average_pooling == "spiking" else {"average_pooling": conversion.average_pooling}
    return {"model": shown(name), **part, **source, **versions}
