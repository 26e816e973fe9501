"""Read photos for networks that were trained on ImageNet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from brian_snn.conversion.graph import FloatArray
from brian_snn.errors import DataError

_SUFFIXES = (".jpg", ".jpeg", ".png")


def read_photo(path: str | Path, side: int, shorter_side: int | None = None) -> FloatArray:
    """Read a photo and cut the square in its middle out of it.

    Parameters
    ----------
    path : str or Path
        A file of any kind that Pillow reads.
    side : int
        Side of the square in pixels.
    shorter_side : int, optional
        To what the photo's shorter side is scaled before; `side` by default, which keeps as much of it as possible.

    Returns
    -------
    photo : (side, side, 3) float array
        Red, green, blue from 0 to 1.

    Raises
    ------
    DataError
        If there is no such file or it is no photo.
    """
    try:
        with Image.open(path) as image:
            # Cameras note how they were held instead of turning the pixels.
            rgb = ImageOps.exif_transpose(image).convert("RGB")
    except FileNotFoundError as error:
        raise DataError(f"photo {path}: there is no such file.") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"photo {path}: cannot be read ({error}); a JPEG or PNG file was expected.") from error
    scale = (shorter_side or side) / min(rgb.size)
    width, height = (max(side, round(length * scale)) for length in rgb.size)
    left, top = (width - side) // 2, (height - side) // 2
    resized = rgb.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + side, top + side)), np.float64) / 255


def photo_files(folder: str | Path) -> list[Path]:
    """Return the JPEG and PNG files of a folder, sorted by name.

    Raises
    ------
    DataError
        If there are none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"photos {folder}: there is no such folder.")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not files:
        raise DataError(f"photos {folder}: the folder holds no {', '.join(_SUFFIXES)} files.")
    return files
