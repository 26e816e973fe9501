"""The images that went in, with what the networks made of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.plotting.style import GREY, VERMILION, house_style, new_figure


@house_style
def plot_images(
    images: FloatArray,
    labels: NDArray[np.integer],
    predictions: Mapping[str, NDArray[np.integer]],
    columns: int = 20,
    title: str = "",
) -> Figure:
    """Show every image in a grid, with the class that each network gave it where one of them is wrong.

    Parameters
    ----------
    images : (n_images, rows, columns, channels) float array
        One or three channels, in [0, 1].
    labels : (n_images,) int array
        True classes.
    predictions : dict of str to (n_images,) int array
        Predicted classes by the letter of a network, the trained one first; the title should say what they stand for.
    columns : int
        Images in a row.
    title : str
        Title of the figure.

    Returns
    -------
    figure : Figure
        One Axes with a mosaic of the images in the given order. Under each is its label, in orange with the predictions
        that differ; a frame marks those that the first network got wrong.
    """
    rows, width = images.shape[1:3]
    # Room for the label under an image and for a gap beside it.
    pitch = (rows * 3 // 2, width * 5 // 4)
    n_rows = -(-len(images) // columns)
    mosaic = np.zeros((n_rows * pitch[0], columns * pitch[1], images.shape[3]))
    figure = new_figure(0.55 * columns, 0.55 * n_rows * pitch[0] / pitch[1] + 0.5)
    axes = figure.add_subplot()
    for index, image in enumerate(images):
        top, left = index // columns * pitch[0], index % columns * pitch[1]
        mosaic[top : top + rows, left : left + width] = image
        wrong = {name: int(values[index]) for name, values in predictions.items() if values[index] != labels[index]}
        _caption(axes, left, top + rows, int(labels[index]), wrong)
        if next(iter(predictions)) in wrong:
            axes.add_patch(Rectangle((left, top), width, rows, fill=False, edgecolor=VERMILION, linewidth=1.6))
    # One image for all of them: an Axes each takes five seconds to lay out.
    extent = (0, mosaic.shape[1], mosaic.shape[0], 0)
    axes.imshow(
        mosaic.squeeze(axis=2) if images.shape[3] == 1 else mosaic, cmap="gray_r", vmin=0, vmax=1, extent=extent
    )
    axes.axis("off")
    figure.suptitle(title)
    return figure


def _caption(axes: Axes, left: float, bottom: float, label: int, wrong: Mapping[str, int]) -> None:
    """Write the label under an image, in orange and with the wrong answers behind it if there are any."""
    text = " ".join([str(label), *(f"{name}{answer}" for name, answer in wrong.items())])
    axes.text(left, bottom + 2, text, fontsize=6, color=VERMILION if wrong else GREY, verticalalignment="top")
