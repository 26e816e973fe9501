"""Take many items a few at a time, so that memory need not hold an array of all of them."""

from __future__ import annotations

from collections.abc import Iterator

from brian_snn.network.network import Network

# Numbers held at a time for one array of the largest population: 8 MiB of float64.
_IMAGE_NUMBERS = 2**20


def batches(n_items: int, item_size: int, n_numbers: int) -> Iterator[slice]:
    """Yield slices of items of `item_size` numbers each that fit into `n_numbers`; at least one item at a time."""
    length = max(1, n_numbers // item_size)
    for start in range(0, n_items, length):
        yield slice(start, start + length)


def image_batches(network: Network, n_images: int) -> Iterator[slice]:
    """Yield slices of images of which the largest population fits into 8 MiB."""
    return batches(n_images, max(p.size for p in network.populations), _IMAGE_NUMBERS)
