"""Whether a network computes what the model computes: every population against its own reference."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.conversion.probes import probe_images
from brian_snn.errors import ModelError
from brian_snn.frontends.table import front_end_of, in_batches
from brian_snn.limits import starting
from brian_snn.network.forward import forward
from brian_snn.network.network import Network
from brian_snn.progress import Progress

#: Images that are compared at a time: so many that what each side makes of them takes about this much memory.
_BATCH_BYTES, _MOST_IMAGES = 2**28, 32


def check_against_reference(
    model: Any,
    network: Network,
    images: NDArray[np.generic],
    tolerance: float = 1e-5,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Compare every population of the network with what its framework computes for it, in float64.

    A few random images around the range of those given (`brian_snn.conversion.probes`) are compared as well, since a
    pixel that is always black, or a neuron that is always silent, hides the weights behind it.

    Parameters
    ----------
    model
        The model that was converted.
    network : Network
        Folded, normalised or not, not yet rounded.
    images : (n_images, *input_shape) array
        On which to compare; at least one.
    tolerance : float
        Largest difference allowed, relative to the largest activation of the population on images of the same kind:
        those given, or a pair of random ones.
    progress : callable, optional
        Called with (done, total) batches of images.

    Returns
    -------
    errors : dict of str to float
        Largest difference of each population, relative to its largest activation.

    Raises
    ------
    ModelError
        If a population differs by more; the message names it.
    """
    per_image = 8 * sum(population.size for population in network.populations)
    batches = in_batches(images, min(_MOST_IMAGES, max(1, _BATCH_BYTES // per_image)))
    compared = [*((0, batch) for batch in batches), *enumerate(probe_images(images), start=1)]
    largest = {population.name: np.zeros(compared[-1][0] + 1) for population in network.populations}
    differences = {name: np.zeros_like(of_kinds) for name, of_kinds in largest.items()}
    front_end = front_end_of(model)
    references = front_end.references(model, network, [batch for _, batch in compared], "float64")
    # Neither keeps all processors busy by itself.
    with ThreadPoolExecutor(1) as beside:
        for done, (kind, batch) in enumerate(compared, start=1):
            with starting("a thread"):
                computed = beside.submit(forward, network, batch)
            reference, own = next(references), computed.result()
            for name in largest:
                # Dropped one by one, so that they do not add up to those of the next batch.
                expected, values = reference.pop(name), own.pop(name)
                size = _largest(expected)
                if kind and not np.isfinite(size):
                    # So far from the images that numbers overflow, it has nothing to compare with.
                    continue
                with np.errstate(over="ignore", invalid="ignore"):
                    values *= network[name].scale
                    values -= expected
                # Unlike the built-in, this maximum keeps a NaN.
                differences[name][kind] = np.maximum(differences[name][kind], _largest(values))
                largest[name][kind] = np.maximum(largest[name][kind], size)
            if progress:
                progress(done, len(compared))
    relative = {name: differences[name] / np.where(largest[name] == 0, 1.0, largest[name]) for name in largest}
    for name, of_kinds in relative.items():
        if not np.all(of_kinds <= tolerance):
            raise ModelError(_disagreement(name, front_end.name, of_kinds, tolerance))
    return {name: float(of_kinds.max()) for name, of_kinds in relative.items()}


def _largest(values: FloatArray) -> np.float64:
    """Return the largest absolute value, NaN where there is one; no array of absolute values is made."""
    return np.maximum(values.max(), -values.min())


def _disagreement(name: str, framework: str, errors: FloatArray, tolerance: float) -> str:
    """Return the message about a population that differs, on the images given or, after those, on random ones."""
    first = int(np.argmin(errors <= tolerance))
    where = "random images" if first else "the images"
    return (
        f"population {name!r}: it differs from what {framework} computes by {errors[first]:.2g} of its largest "
        f"activation on {where}, more than {tolerance:g}; the layer is not converted faithfully."
    )
