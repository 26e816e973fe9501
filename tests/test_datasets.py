"""Files are written here by hand, with struct, gzip and NumPy, and read back by brian_snn.datasets."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from brian_snn.datasets import check_images, load_demo, load_images
from brian_snn.errors import DataError

PIXELS = [[[0, 51], [102, 153]], [[204, 255], [1, 2]], [[3, 4], [5, 6]]]
LABELS = [7, 0, 9]


def idx_bytes(type_byte: int, code: str, shape: tuple[int, ...], numbers: list[float]) -> bytes:
    """Spell out an IDX file."""
    header = struct.pack(f">BBBB{len(shape)}i", 0, 0, type_byte, len(shape), *shape)
    return header + struct.pack(f">{len(numbers)}{code}", *numbers)


IMAGE_BYTES = idx_bytes(0x08, "B", (3, 2, 2), np.ravel(PIXELS).tolist())
LABEL_BYTES = idx_bytes(0x08, "B", (3,), LABELS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as SNN toolbox writes it."""
    np.savez(tmp_path / "x_test.npz", np.array(PIXELS) / 255)
    np.savez(tmp_path / "y_test.npz", np.eye(10)[LABELS])
    np.savez(tmp_path / "x_norm.npz", np.array(PIXELS[:1]) / 2)
    return tmp_path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"])
def test_idx_bytes_become_fractions(tmp_path, name, pack):
    path = tmp_path / (name + ".gz" * (pack is gzip.compress))
    path.write_bytes(pack(IMAGE_BYTES))
    dataset = load_images(path)
    assert dataset.images.dtype == np.float64
    assert dataset.images.tolist() == [[[p / 255 for p in row] for row in image] for image in PIXELS]


@pytest.mark.parametrize("images_end, labels_end", [("", ""), (".gz", ".gz"), ("", ".gz"), (".gz", "")])
def test_idx_labels_are_found_beside_the_images(tmp_path, images_end, labels_end):
    for name, end, content in [("images-idx3", images_end, IMAGE_BYTES), ("labels-idx1", labels_end, LABEL_BYTES)]:
        (tmp_path / f"t10k-{name}-ubyte{end}").write_bytes(gzip.compress(content) if end else content)
    assert load_images(tmp_path / f"t10k-images-idx3-ubyte{images_end}").labels.tolist() == LABELS


def test_idx_without_a_label_file_has_no_labels(tmp_path):
    (tmp_path / "images-idx3-ubyte").write_bytes(IMAGE_BYTES)
    assert load_images(tmp_path / "images-idx3-ubyte").labels is None


@pytest.mark.parametrize(
    "type_byte, code, numbers",
    [
        (0x09, "b", [-128, 127]),
        (0x0B, "h", [-300, 300]),
        (0x0C, "i", [-(2**30), 7]),
        (0x0D, "f", [0.5, -0.25]),
        (0x0E, "d", [0.1, 1e300]),
    ],
)
def test_other_idx_types_keep_their_numbers(tmp_path, type_byte, code, numbers):
    (tmp_path / "x-images-idx2").write_bytes(idx_bytes(type_byte, code, (2, 1), numbers))
    assert load_images(tmp_path / "x-images-idx2").images.ravel().tolist() == numbers


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "begins with the bytes"),
        (b"\x89PNG" + IMAGE_BYTES, "89 50 4e 47"),
        (b"\0\0\x07\x03" + IMAGE_BYTES[4:], "00 00 07 03"),
        (b"\0\0\x08\x00", "00 00 08 00"),
        (IMAGE_BYTES[:9], "9 of the 16 bytes of its header"),
        (IMAGE_BYTES[:-1], r"27 bytes; by its header, shape \(3, 2, 2\), it should have 28"),
        (IMAGE_BYTES + b"\0", "29 bytes.*28"),
        (gzip.compress(IMAGE_BYTES)[:-12], "damaged"),
        (gzip.compress(IMAGE_BYTES)[:-8] + b"\0\0\0\0" + gzip.compress(IMAGE_BYTES)[-4:], "damaged"),
        (idx_bytes(0x08, "B", (0, 2, 2), []), "empty set"),
        (LABEL_BYTES, r"shape \(3,\)"),
    ],
    ids=["empty", "png", "type", "axes", "header", "short", "long", "gzip-cut", "gzip-crc", "no-images", "labels"],
)
def test_damaged_idx_is_refused(tmp_path, content, words):
    (tmp_path / "images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=f"images-idx3-ubyte.*{words}"):
        load_images(tmp_path / "images-idx3-ubyte")


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", ">f8"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_numbers_are_kept_as_stored(tmp_path, save, dtype):
    save(tmp_path / "x.npz", x_test=np.array(PIXELS, dtype))
    images = load_images(tmp_path / "x.npz").images
    assert images.dtype == np.float64
    assert images.tolist() == PIXELS


def test_npy_is_read(tmp_path):
    np.save(tmp_path / "x.npy", np.array(PIXELS, np.uint8))
    dataset = load_images(tmp_path / "x.npy")
    assert dataset.images.tolist() == PIXELS
    assert dataset.labels is None


@pytest.mark.parametrize("name, divisor, expected", [("x.npy", 255, 51 / 255), ("x-idx3-ubyte", 1, 51)])
def test_divide_by_overrides_the_rule(tmp_path, name, divisor, expected):
    np.save(tmp_path / "x.npy", np.array(PIXELS, np.uint8))
    (tmp_path / "x-idx3-ubyte").write_bytes(IMAGE_BYTES)
    assert load_images(tmp_path / name, divide_by=divisor).images[0, 0, 1] == expected


@pytest.mark.parametrize("divisor", [0, -1, np.nan, np.inf])
def test_divide_by_must_be_positive(tmp_path, divisor):
    np.save(tmp_path / "x.npy", np.array(PIXELS))
    with pytest.raises(DataError, match="divide_by is"):
        load_images(tmp_path / "x.npy", divide_by=divisor)


@pytest.mark.parametrize("key", ["x_norm", "x_test", "x", "images", "arr_0"])
@pytest.mark.parametrize("role", ["images", "calibration"])
def test_every_image_key_is_known(tmp_path, key, role):
    np.savez(tmp_path / "x.npz", **{key: np.array(PIXELS), "other": np.zeros(3)})
    assert load_images(tmp_path / "x.npz", role=role).images.tolist() == PIXELS


@pytest.mark.parametrize("role, key", [("images", "x_test"), ("calibration", "x_norm")])
def test_role_decides_between_test_and_calibration_images(tmp_path, role, key):
    np.savez(tmp_path / "x.npz", x_test=np.full((2, 3), 1.0), x_norm=np.full((2, 3), 2.0))
    dataset = load_images(tmp_path / "x.npz", role=role)
    assert dataset.images.tolist() == np.full((2, 3), {"x_test": 1.0, "x_norm": 2.0}[key]).tolist()
    assert dataset.source.endswith(f"x.npz[{key}]")


def test_calibration_images_do_not_take_the_labels_of_the_test_images(tmp_path):
    np.savez(tmp_path / "x.npz", x_test=np.zeros((3, 2)), x_norm=np.zeros((3, 2)), y_test=LABELS)
    assert load_images(tmp_path / "x.npz", role="calibration").labels is None


def test_unknown_role_is_refused(tmp_path):
    with pytest.raises(DataError, match="role is 'train'.*images, calibration"):
        load_images(tmp_path, role="train")


@pytest.mark.parametrize("key", ["y_test", "y", "labels"])
@pytest.mark.parametrize(
    "stored",
    [LABELS, np.float32(LABELS), np.uint8(LABELS)[:, np.newaxis], np.eye(10)[LABELS], np.eye(10)[LABELS] == 1],
    ids=["int", "float", "column", "one-hot", "bool"],
)
def test_labels_become_integers(tmp_path, key, stored):
    np.savez(tmp_path / "x.npz", x=np.array(PIXELS), **{key: stored})
    labels = load_images(tmp_path / "x.npz").labels
    assert labels.dtype == np.int64
    assert labels.tolist() == LABELS


@pytest.mark.parametrize(
    "stored, words",
    [
        ([1, 2], r"3 images but labels of shape \(2,\)"),
        (5, r"3 images but labels of shape \(\)"),
        (np.full((3, 4), 0.25), "not one-hot"),
        (np.ones((3, 4)), "not one-hot"),
        (np.array([[1, 0], [0, 1], [1, 0.5]]), "not one-hot"),
        (np.zeros((3, 2, 2)), r"shape \(3, 2, 2\)"),
        ([1, 2.5, 3], "whole numbers"),
        ([1, -1, 3], "whole numbers"),
        ([1, np.nan, 3], "whole numbers"),
        (["cat", "dog", "cat"], "of type <U3"),
    ],
)
def test_bad_labels_are_refused(tmp_path, stored, words):
    np.savez(tmp_path / "x.npz", x=np.array(PIXELS), y=stored)
    with pytest.raises(DataError, match=rf"x\.npz.*{words}"):
        load_images(tmp_path / "x.npz")


def test_toolbox_folder_gives_test_images_with_labels(folder):
    dataset = load_images(folder)
    assert dataset.images.tolist() == (np.array(PIXELS) / 255).tolist()
    assert dataset.labels.tolist() == LABELS


def test_toolbox_folder_gives_calibration_images_without_labels(folder):
    dataset = load_images(folder, role="calibration")
    assert dataset.images.tolist() == (np.array(PIXELS[:1]) / 2).tolist()
    assert dataset.labels is None


def test_folder_without_data_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"neither x_test\.npz nor x_norm\.npz"):
        load_images(tmp_path)


def test_folder_whose_file_has_another_key_is_refused(folder):
    np.savez(folder / "x_test.npz", pictures=np.zeros((3, 2)))
    with pytest.raises(DataError, match=r"x_test\.npz: no array named 'arr_0'.*'pictures'"):
        load_images(folder)


def test_missing_image_key_lists_the_keys_found(tmp_path):
    np.savez(tmp_path / "x.npz", pictures=np.zeros((3, 2)), y=LABELS)
    with pytest.raises(DataError, match=r"x\.npz: no images.*x_test.*not \['pictures', 'y'\]"):
        load_images(tmp_path / "x.npz")


class Bomb:
    """Write a file when unpickled."""

    def __init__(self, path: Path) -> None:
        """Keep the path."""
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        """Return the call that unpickling makes."""
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_objects_are_never_unpickled(tmp_path, name):
    exploded = tmp_path / "exploded"
    objects = np.array([Bomb(exploded)], dtype=object)
    (np.save if name == "x.npy" else np.savez)(tmp_path / name, objects)
    with pytest.raises(DataError, match=f"{name}.*Python objects"):
        load_images(tmp_path / name)
    assert not exploded.exists()


def test_a_bare_pickle_is_refused(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"\x80\x04]\x94.")
    with pytest.raises(DataError, match=r"x\.npy.*Python objects"):
        load_images(tmp_path / "x.npy")


def npz_bytes(**members: bytes) -> bytes:
    """Return a zip file with these members, whether arrays or not."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy_bytes(header: str) -> bytes:
    """Return an .npy file with any header and no numbers."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


HUGE = npy_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,), }\n")


@pytest.mark.parametrize(
    "name, content",
    [
        ("x.npz", b""),
        ("x.npz", b"PK\x03\x04 and nothing else"),
        ("x.npz", b"hello"),
        ("x.npz", npz_bytes(x=b"hello")),
        ("x.npz", npz_bytes(x=HUGE)),
        ("x.npz", npz_bytes(x=npy_bytes("{'descr': '<f8'\n"))),
        ("x.npy", b""),
        ("x.npy", HUGE),
        ("x.npy", npy_bytes("{'descr': 'no type', 'fortran_order': False, 'shape': (1,), }\n")),
        ("x.npy", npy_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (9, 9), }\n") + bytes(8)),
    ],
)
def test_damaged_numpy_files_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        load_images(tmp_path / name)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_no_single_changed_byte_escapes_as_another_error(tmp_path, save):
    path = tmp_path / "x.npz"
    save(path, x=np.arange(8.0).reshape(2, 4))
    intact = path.read_bytes()
    for position in range(len(intact)):
        path.write_bytes(intact[:position] + bytes([intact[position] ^ 0xFF]) + intact[position + 1 :])
        try:
            images = load_images(path).images
        except DataError:
            continue
        # Bytes that do not matter, such as a date, leave the numbers alone.
        assert images.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "t10k-images-idx3-ubyte.gz", "folder"])
def test_missing_file_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=f"{name}: there is no such file or folder"):
        load_images(tmp_path / name)


def test_unknown_kind_of_file_is_refused(tmp_path):
    (tmp_path / "digits.csv").write_text("1,2,3")
    with pytest.raises(DataError, match=r"digits\.csv: unknown kind of file.*\.npz"):
        load_images(tmp_path / "digits.csv")


@pytest.mark.parametrize("stored", [(2, 2), (2, 2, 1), (1, 2, 2)])
@pytest.mark.parametrize("wanted", [(2, 2), (2, 2, 1), (1, 2, 2)])
def test_a_last_or_first_axis_of_one_is_added_removed_or_moved(tmp_path, stored, wanted):
    np.save(tmp_path / "x.npy", np.array(PIXELS).reshape(3, *stored))
    images = load_images(tmp_path / "x.npy", wanted).images
    assert images.tolist() == np.array(PIXELS).reshape(3, *wanted).tolist()


@pytest.mark.parametrize("wanted", [(4,), (4, 1), (1, 4), (1, 2, 2, 1), (1, 1, 2, 2), (2, 2, 3), (2, 1)])
def test_no_other_shape_is_made_to_fit(tmp_path, wanted):
    np.save(tmp_path / "x.npy", np.array(PIXELS))
    with pytest.raises(DataError) as caught:
        load_images(tmp_path / "x.npy", wanted)
    assert str(caught.value) == f"images of {tmp_path / 'x.npy'} have shape (3, 2, 2); the model's input is {wanted}."


def test_shape_error_names_both_shapes():
    with pytest.raises(DataError) as caught:
        check_images(np.zeros((500, 784)), (28, 28, 1), "calibration images")
    assert str(caught.value) == "calibration images have shape (500, 784); the model's input is (28, 28, 1)."


@pytest.mark.parametrize(
    "images, words",
    [
        (np.zeros((2, 3)), r"shape \(2, 3\), that of one image; add a leading axis"),
        (np.zeros((0, 2, 3)), "empty set"),
        (5.0, r"shape \(\)"),
        ([["a"]], "type <U1; real numbers"),
        (np.zeros((1, 2, 3), complex), "type complex128; real numbers"),
        (np.zeros((1, 2, 3), object), "type object; real numbers"),
        ([[1, 2], [3]], "do not form an array"),
        (np.ma.masked_less(np.ones((1, 2, 3)), 2), r"a masked array; give plain numbers: images\.filled"),
    ],
)
def test_what_is_no_set_of_images_is_refused(images, words):
    with pytest.raises(DataError, match=f"test digits.*{words}"):
        check_images(images, (2, 3), "test digits")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_counted_and_located(value):
    images = np.zeros((6, 2, 3))
    images[4, 1, 2] = images[5, 0, 0] = images[5, 1, 0] = value
    with pytest.raises(DataError, match="3 NaN or infinite pixels in 2 of 6 images, first in image 4 "):
        check_images(images, (2, 3))


def test_checking_leaves_numbers_and_the_original_alone():
    images = np.array([[1, 2], [3, 255]], np.uint8)
    checked = check_images(images, (2,))
    checked[0, 0] = 9
    assert checked.tolist() == [[9, 2], [3, 255]]
    assert images.tolist() == [[1, 2], [3, 255]]


def test_demo_digits_are_twenty_of_each_class():
    _, test, _ = load_demo()
    assert np.bincount(test.labels).tolist() == [20] * 10


@pytest.mark.parametrize("position", [1, 2], ids=["test", "calibration"])
def test_demo_digits_are_fractions_of_255(position):
    images = load_demo()[position].images
    assert images.shape == (200, 28, 28, 1)
    assert images.min() == 0.0
    assert images.max() == 1.0
    assert np.array_equal(np.rint(images * 255) / 255, images)


def test_demo_digits_do_not_overlap():
    _, test, calibration = load_demo()
    flat = np.concatenate([test.images, calibration.images]).reshape(400, -1)
    assert len(np.unique(flat, axis=0)) == 400


def test_demo_data_stay_below_two_megabytes():
    model_path, test, _ = load_demo()
    digits_path = Path(test.source.partition("[")[0])
    assert model_path.stat().st_size + digits_path.stat().st_size < 2_000_000


def test_reading_images_needs_neither_brian2_nor_keras():
    code = "import sys, brian_snn.datasets; print({'brian2', 'keras', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
