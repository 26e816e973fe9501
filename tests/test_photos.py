"""Photos, against pixels that were put into them."""

import sys

import numpy as np
import pytest
from PIL import Image

from brian_snn.errors import DataError
from brian_snn.photos import photo_files, read_photo


def save(path, pixels, mode=None):
    """Write pixels as an image file and return its path."""
    Image.fromarray(np.asarray(pixels, np.uint8), mode).save(path)
    return path


def test_a_square_photo_of_the_right_size_is_taken_as_it_is(tmp_path, rng):
    pixels = rng.integers(0, 256, (12, 12, 3))
    np.testing.assert_array_equal(read_photo(save(tmp_path / "a.png", pixels), 12), pixels / 255)


@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (12, 13)])
def test_the_middle_of_an_oblong_photo_is_taken(tmp_path, rng, shape):
    pixels = rng.integers(0, 256, (*shape, 3))
    top, left = (shape[0] - 12) // 2, (shape[1] - 12) // 2
    found = read_photo(save(tmp_path / "a.png", pixels), 12)
    np.testing.assert_array_equal(found, pixels[top : top + 12, left : left + 12] / 255)


def test_the_shorter_side_may_be_larger_than_the_square(tmp_path, rng):
    pixels = rng.integers(0, 256, (16, 24, 3))
    found = read_photo(save(tmp_path / "a.png", pixels), 12, shorter_side=16)
    np.testing.assert_array_equal(found, pixels[2:14, 6:18] / 255)


def test_a_photo_of_one_colour_keeps_it_at_any_size(tmp_path):
    found = read_photo(save(tmp_path / "a.png", np.full((31, 57, 3), (255, 51, 0))), 10)
    np.testing.assert_array_equal(found, np.broadcast_to((1.0, 0.2, 0.0), (10, 10, 3)))


def test_a_grey_photo_becomes_three_equal_channels(tmp_path, rng):
    pixels = rng.integers(0, 256, (9, 9))
    np.testing.assert_array_equal(read_photo(save(tmp_path / "a.png", pixels), 9), pixels[..., None].repeat(3, 2) / 255)


def test_files_are_sorted_and_only_photos(tmp_path):
    for name in ("b.jpg", "a.PNG", "notes.txt", "c.jpeg"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in photo_files(tmp_path)] == ["a.PNG", "b.jpg", "c.jpeg"]


@pytest.mark.parametrize(
    ("content", "match"), [(None, "no such file"), (b"no photo", "cannot be read"), (b"", "cannot be read")]
)
def test_files_that_are_no_photos_are_refused(tmp_path, content, match):
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.jpg: .*{match}"):
        read_photo(path, 8)


def test_a_photo_that_is_cut_short_is_refused(tmp_path, rng):
    path = save(tmp_path / "a.png", rng.integers(0, 256, (40, 40, 3)))
    path.write_bytes(path.read_bytes()[:-800])
    with pytest.raises(DataError, match="cannot be read"):
        read_photo(path, 8)


@pytest.mark.parametrize(("name", "match"), [("", "holds no"), ("missing", "no such folder")])
def test_folders_without_photos_are_refused(tmp_path, name, match):
    with pytest.raises(DataError, match=match):
        photo_files(tmp_path / name)


def test_a_photo_is_turned_as_the_camera_was_held(tmp_path, rng):
    pixels = rng.integers(0, 256, (12, 12, 3)).astype(np.uint8)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    # Orientation 6: the top of the scene is at the right edge of the stored pixels.
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png", 12), np.rot90(pixels, -1) / 255)


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", np.zeros((8, 8, 3)))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r"a\.png: .*pip install 'brian_snn\[photos\]'"):
        read_photo(path, 8)
