"""Read photos for networks that were trained on ImageNet."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.errors import READ_ERRORS, DataError
from brian_snn.reading import check_plain_file

_SUFFIXES = (".jpg", ".jpeg", ".png")
_FORMATS = ("JPEG", "PNG")

# Pillow warns above two thirds of that and refuses above a third more.
_MOST_PIXELS = 2**27


def read_photo(path: str | Path, side: int, shorter_side: int | None = None) -> FloatArray:
    """Read a photo and cut the square in its middle out of it.

    Parameters
    ----------
    path : str or Path
        A JPEG or PNG file.
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
        If there is no such file, it is no photo, or it is larger than any; or if Pillow is not installed.
    """
    check_plain_file(Path(path), f"photo {path}", DataError)
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise DataError(f"photo {path}: Pillow is not installed; pip install 'brian_snn[photos]'.") from error
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if math.prod(image.size) > _MOST_PIXELS:
                raise DataError(f"photo {path}: has {image.size} pixels, too many for a photo; scale it down.")
            # Cameras note how they were held instead of turning the pixels.
            rgb = ImageOps.exif_transpose(image).convert("RGB")
    except DataError:
        raise
    # Pillow passes on whatever its decoders come upon.
    except (*READ_ERRORS, struct.error, Image.DecompressionBombError) as error:
        raise DataError(f"photo {path}: cannot be read ({error}); a JPEG or PNG file was expected.") from error
    scale = (shorter_side or side) / min(rgb.size)
    width, height = (max(side, round(length * scale)) for length in rgb.size)
    if width * height > _MOST_PIXELS:
        raise DataError(f"photo {path}: has {rgb.size} pixels, too oblong to be scaled; cut it to what matters.")
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
