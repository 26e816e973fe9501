"""Data, sweeps, runs and photos from strangers: what they are and what they become is known before they are read."""

import gzip
import io
import os
import re
import socket
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from brian_snn import reading
from brian_snn.cli.sweep import read_sweep
from brian_snn.datasets import load_images
from brian_snn.errors import DataError, SettingError
from brian_snn.photos import read_photo
from brian_snn.results.load import load_result
from tests.campaign.limits import Limits, run_limited

#: What a reader may take before it must have said no.
LITTLE = Limits(2**28, cpu_s=20)


def refused(function, path, match, error=DataError):
    """Check that a reader says no in words, soon, and with little memory."""
    outcome = run_limited(function, path, limits=LITTLE)
    # An error that is too deep to be sent comes as its text.
    kind = (
        type(outcome.value).__name__ if isinstance(outcome.value, BaseException) else str(outcome.value).split("(")[0]
    )
    assert (outcome.kind, kind) == ("raised", error.__name__) and re.search(match, str(outcome.value)), outcome


def npy_header(shape, dtype="|u1", order=False):
    """Return the header of an .npy file."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": order, "shape": shape})
    return file.getvalue()


def zeros_in_zip(path, key, n_images, dtype="|u1"):
    """Write an .npz of zeros that are never in memory."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
            file.write(npy_header((n_images, 2**20), dtype))
            for _ in range(n_images):
                file.write(bytes(2**20 * np.dtype(dtype).itemsize))


def test_images_that_become_a_thousand_times_as_large_are_refused(tmp_path):
    zeros_in_zip(tmp_path / "x.npz", "x", 200)
    assert (tmp_path / "x.npz").stat().st_size < 2**20
    refused(load_images, tmp_path / "x.npz", r"x\.npz\[x\]: its .* would become 1\.6 GiB; .* do not compress it")


def test_labels_that_become_large_are_refused(tmp_path):
    zeros_in_zip(tmp_path / "y.npz", "y", 200)
    with zipfile.ZipFile(tmp_path / "y.npz", "a") as archive:
        archive.writestr("x.npy", npy_header((1, 4)) + bytes(4))
    refused(load_images, tmp_path / "y.npz", r"y\.npz\[y\]: its .* would become")


def test_an_array_that_is_not_asked_for_is_not_read(tmp_path):
    zeros_in_zip(tmp_path / "x.npz", "unused", 2000)
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.writestr("x.npy", npy_header((1, 4)) + bytes(4))
    dataset = run_limited(load_images, tmp_path / "x.npz", limits=LITTLE).unwrap()
    assert dataset.images.tolist() == [[0, 0, 0, 0]]


def test_the_folder_of_snn_toolbox_is_no_way_around(tmp_path):
    zeros_in_zip(tmp_path / "x_test.npz", "arr_0", 200)
    refused(load_images, tmp_path, r"x_test\.npz\[arr_0\]: its .* would become")


def test_idx_images_that_become_large_are_refused(tmp_path):
    path = tmp_path / "images-idx3-ubyte.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"\0\0\x08\x03" + struct.pack(">3I", 200, 2**10, 2**10))
        for _ in range(200):
            file.write(bytes(2**20))
    refused(load_images, path, "its .* would become 1.6 GiB")


def test_idx_files_are_not_unpacked_beyond_their_header(tmp_path):
    path = tmp_path / "images-idx3-ubyte.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"\0\0\x08\x03" + struct.pack(">3I", 2, 2, 2))
        for _ in range(1000):
            file.write(bytes(2**20))
    refused(load_images, path, "at least 25 bytes; by its header, shape .* 24")


@pytest.mark.parametrize("axes", [33, 64, 65, 255])
def test_idx_files_of_absurdly_many_axes_are_refused(tmp_path, axes):
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(b"\0\0\x08" + bytes([axes]) + struct.pack(">I", 1) * axes + b"\1")
    refused(load_images, path, "1 to 32 axes")


def test_labels_beside_idx_images_are_checked_as_well(tmp_path):
    (tmp_path / "images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 1, 2, 2) + bytes(4))
    (tmp_path / "labels-idx1-ubyte").write_bytes(b"\0\0\x08\xff" + struct.pack(">I", 1) * 255 + b"\1")
    refused(load_images, tmp_path / "images-idx3-ubyte", "labels-idx1-ubyte: .*axes")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    "header",
    [
        npy_header((2**40, 4)),
        npy_header((-1, 4)),
        npy_header((True, 4)),
        npy_header((2, 2**62, 2**62)),
        npy_header((2**40, 4), "|S0"),
        npy_header((4,), "|O"),
        npy_header((4, 4), [("a", "|O")]),
        b"\x93NUMPY\x02\0" + struct.pack("<I", 2**31) + b"{",
        b"\x93NUMPY\x09\0" + b"{" * 100,
        b"\x93NUMPY\x01\0" + struct.pack("<H", 9000) + b"(" * 9000,
        b"\x93NUMPY\x01\0" + struct.pack("<H", 9000) + b"-" * 9000,
    ],
    ids=range(11),
)
def test_headers_of_arrays_that_are_not_there_are_refused(tmp_path, suffix, header):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(header + bytes(16))
    if suffix == ".npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", header + bytes(16))
    refused(load_images, path, str(path))


def test_an_array_twice_in_a_file_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for value in (b"\0", b"\1"):
            archive.writestr("x.npy", npy_header((1, 4)) + 4 * value)
    refused(load_images, tmp_path / "x.npz", "holds 'x.npy' twice")


def test_more_than_the_memory_of_the_machine_is_refused(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.zeros((4, 100)))
    monkeypatch.setattr(reading, "memory_bytes", lambda: 3000)
    with pytest.raises(DataError, match=r"x\.npy: it would take 3,200 bytes of memory, and this machine has 3,000"):
        load_images(tmp_path / "x.npy")


def test_plain_images_may_be_of_any_size(tmp_path):
    # All of a hole in a file is zeros that take no space.
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        file.write(npy_header((300, 2**20)))
        file.truncate(file.tell() + 300 * 2**20)
    assert load_images(path).images.shape == (300, 2**20)


def test_what_real_images_shrink_to_is_let_through(tmp_path):
    rng = np.random.default_rng(0)
    # Digits are mostly black; a million of them take 6 GB.
    images = np.where(rng.uniform(size=(500, 28, 28)) < 0.2, rng.integers(0, 256, (500, 28, 28)) / 255, 0.0)
    np.savez_compressed(tmp_path / "x.npz", x=images)
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        (member,) = archive.infolist()
    reading.check_size(2000 * images.nbytes, 2000 * member.compress_size, "")


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
@pytest.mark.parametrize(
    "read, name, error",
    [
        (load_images, "x.npz", DataError),
        (load_images, "x.npy", DataError),
        (load_images, "train-images-idx3-ubyte.gz", DataError),
        (load_images, "folder/x_test.npz", DataError),
        (read_sweep, "sweep.toml", SettingError),
        (lambda path: read_photo(path, 8), "photo.png", DataError),
        (lambda path: load_result(path.parent), "run/result.json", DataError),
    ],
)
def test_only_plain_files_are_opened(tmp_path, kind, read, name, error):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as unix:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        else:
            unix.bind(str(path))
        where = path.parent if "folder" in name else path
        refused(read, where, "folder: |a device, a pipe or a socket|is not a result folder", error)


@pytest.mark.parametrize("text", ["a = " + "[" * 50_000, "a = " + "[" * 300 + "]" * 300, "a" + ".a" * 5000 + " = 1"])
def test_sweeps_that_are_too_deep_are_refused(tmp_path, text):
    (tmp_path / "sweep.toml").write_text(text)
    refused(read_sweep, tmp_path / "sweep.toml", "sweep.toml: ", SettingError)


def test_sweeps_of_blanks_are_refused(tmp_path):
    with (tmp_path / "sweep.toml").open("wb") as file:
        file.truncate(2**32)
    refused(read_sweep, tmp_path / "sweep.toml", "holds 4.0 GiB of text; 64.0 MiB at most", SettingError)


def test_sweeps_of_more_points_than_there_is_time_are_refused(tmp_path):
    for name in ("m.keras", "x.npz"):
        (tmp_path / name).write_bytes(b"")
    axes = "\n".join(f"{name} = {list(range(1, 101))}" for name in ("steps", "clamp", "seed", "percentile"))
    text = f'model = "m.keras"\ncalibration = "x.npz"\ndata = "x.npz"\n[grid]\n{axes}\n'
    (tmp_path / "sweep.toml").write_text(text)
    refused(read_sweep, tmp_path / "sweep.toml", "100,000,000 points; 10,000 at most", SettingError)


def test_a_result_of_blanks_is_refused(tmp_path):
    with (tmp_path / "result.json").open("wb") as file:
        file.truncate(2**32)
    refused(load_result, tmp_path, "result.json: holds 4.0 GiB of text")


@pytest.mark.parametrize("size", [(12_000, 12_000), (1, 2_000_000)])
def test_photos_that_become_large_are_refused(tmp_path, size):
    Image.new("1", size).save(tmp_path / "photo.png")
    assert (tmp_path / "photo.png").stat().st_size < 2**18
    refused(lambda path: read_photo(path, 299), tmp_path / "photo.png", "photo .*(scale it down|too oblong)")


def test_photos_of_other_kinds_than_photos_are_not_decoded(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png", format="GIF")
    refused(lambda path: read_photo(path, 8), tmp_path / "photo.png", "a JPEG or PNG file was expected")


@pytest.mark.parametrize("name", [b"\xff\xfe.npz", b"a\nb.npz", "\u202eb.npz".encode()])
def test_names_of_files_may_hold_anything(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    np.savez(path, x=np.zeros((1, 4)))
    assert load_images(path).images.shape == (1, 4)
