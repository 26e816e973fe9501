"""Damaged files of every format: each is read, or refused in one line, within limits, and nothing is left behind.

A file is damaged, read in a process of its own, and what became of it is judged. All that is drawn follows from the
name of the format and a number, so that a number says it all: ``damage(FORMAT, NUMBER, folder)``.
"""

import contextlib
import gzip
import io
import json
import shutil
import struct
import tempfile
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from brian_snn.errors import BrianSnnError
from brian_snn.escaping import shown
from tests.campaign import mutations
from tests.campaign.limits import Limits, run_limited, untouched_python

#: Ends of a call: it may take so much.
LIMITS = Limits(3 * 2**30, cpu_s=60, wall_s=90)


@dataclass(frozen=True)
class Format:
    """What is read, and how it is damaged.

    Parameters
    ----------
    name : str
        Of the file, in the folder of good ones and, damaged, in that of a call.
    damage : callable
        Takes the content and a generator, returns another content.
    read : callable
        Takes the path of the damaged file; returns true if it refuses it, or raises one of our errors.
    """

    name: str
    damage: Any
    read: Any


def _member(name, content, random):
    """Damage a member of a zip file by its kind."""
    if name.endswith(".json"):
        return mutations.mutated_json(content, random)
    return (mutations.mutated_npy if name.endswith(".npy") else mutations.mutated)(content, random)


def _configuration(content, random):
    """Damage the configuration in an HDF5 file, or its bytes."""
    import h5py

    if random.random() < 0.4:
        return mutations.mutated(content, random)
    file = io.BytesIO(content)
    with h5py.File(file, "r+") as opened:
        config = json.loads(opened.attrs["model_config"])
        opened.attrs["model_config"] = json.dumps(mutations.mutated_tree(config, random))
    return file.getvalue()


def _packed(content, random):
    """Damage what a gzip file holds, or its bytes."""
    if random.random() < 0.5:
        return mutations.mutated(content, random)
    return gzip.compress(mutations.mutated(gzip.decompress(content), random))


def _words(content, random):
    """Damage a text by lines and by what stands behind the equals signs."""
    if random.random() < 0.3:
        return mutations.mutated(content, random)
    lines = content.decode().splitlines()
    at = random.randrange(len(lines))
    value = random.choice(('"x"', "-1", "nan", "[]", "{}", "1e400", "[1, 'a']", "1979-05-27", '"\\u001b"', "[" * 2000))
    lines[at] = lines[at].split("=")[0] + "= " + value if random.random() < 0.7 else random.choice(lines)
    return "\n".join(lines).encode()


def _convert(path):
    """Convert a model by the command line and return whether it is refused, which must be by code 2 and one line."""
    from brian_snn.__main__ import main

    out, error = io.StringIO(), io.StringIO()
    output = path.with_name("net.npz")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = main(["convert", str(path), "--data", str(path.with_name("x.npz")), "-o", str(output)])
    line = error.getvalue()
    if code == 0:
        output.unlink()
        assert not line, line
        return False
    assert (code, line.count("\n")) == (2, 1) and line.startswith("brian-snn: error: "), (code, line)
    assert line.rstrip("\n").isprintable(), line
    return True


def _load_images(path):
    from brian_snn.datasets import load_images

    for role in ("images", "calibration"):
        load_images(path, role=role)


def _load_images_beside(path):
    _load_images(path.with_name("images-idx3-ubyte"))


def _read_sweep(path):
    from brian_snn.cli.sweep import read_sweep

    read_sweep(path)


def _read_photo(path):
    from brian_snn.photos import read_photo

    read_photo(path, 8)


def _read_run(path):
    """Read all of a run folder, which is the one around a file; nothing in it is written."""
    from brian_snn.results.arrays import ARRAYS_BY_NAME
    from brian_snn.results.load import load_result

    folder = next(parent for parent in path.parents if parent.name == "run")
    result = load_result(folder)
    for part in result.parts():
        for name in ARRAYS_BY_NAME:
            dict(part.by_population(name))
        assert part.logits.shape[0] == len(part.images), "every image has an answer"


FORMATS = {
    "keras": Format("model.keras", partial(mutations.mutated_zip, of_member=_member), _convert),
    "h5": Format("model.h5", _configuration, _convert),
    "npz": Format("x.npz", partial(mutations.mutated_zip, of_member=_member), _load_images),
    "npy": Format("x.npy", mutations.mutated_npy, _load_images),
    "idx": Format("images-idx3-ubyte", mutations.mutated, _load_images),
    "idx_gz": Format("packed-images-idx3-ubyte.gz", _packed, _load_images),
    "idx_labels": Format("labels-idx1-ubyte", mutations.mutated, _load_images_beside),
    "toml": Format("sweep.toml", _words, _read_sweep),
    "png": Format("photo.png", mutations.mutated, _read_photo),
    "jpeg": Format("photo.jpg", mutations.mutated, _read_photo),
    "run_description": Format("run/result.json", mutations.mutated_json, _read_run),
    "run_network": Format("run/network.npz", partial(mutations.mutated_zip, of_member=_member), _read_run),
    "run_images": Format("run/images.npy", mutations.mutated_npy, _read_run),
    "run_labels": Format("run/labels.npy", mutations.mutated_npy, _read_run),
    "run_shard": Format("run/shards/000000002.npz", partial(mutations.mutated_zip, of_member=_member), _read_run),
}


def write_good_files(folder):
    """Write a good file of every format."""
    from PIL import Image

    from brian_snn import simulate
    from tests.models import HAND_PICKED
    from tests.small_network import small_images, small_network

    rng = np.random.default_rng(1)
    # Labels beside the images; none beside the packed ones.
    (folder / "images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 4, 2, 3) + bytes(range(24)))
    (folder / "labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 4) + bytes(4))
    content = (folder / "images-idx3-ubyte").read_bytes()
    (folder / "packed-images-idx3-ubyte.gz").write_bytes(gzip.compress(content, mtime=0))
    np.save(folder / "x.npy", rng.uniform(size=(4, 6)))
    np.savez_compressed(folder / "x.npz", x_test=rng.uniform(size=(4, 6)), y_test=np.arange(4))
    lines = ['model = "model.keras"', 'calibration = "x.npz"', 'data = "x.npz"', "images = 3", "verify = true"]
    lines += ["[grid]", "steps = [10, 20]", "percentile = [99.0, 99.9]", 'reset = ["zero", "subtraction"]']
    (folder / "sweep.toml").write_text("\n".join(lines))
    pixels = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    for name in ("photo.png", "photo.jpg"):
        pixels.save(folder / name)
    for suffix in (".keras", ".h5"):
        HAND_PICKED["mlp"]().save(folder / f"model{suffix}")
    options = {"steps": 9, "reset": "zero", "backend": "runtime", "shard_size": 2, "checkpoints": (4, 9)}
    recorded = {"record_spikes": ("conv",), "record_potentials": ("mixed",), "record_counts": ("conv",)}
    labels = np.arange(4) % 3
    simulate(small_network(), small_images(4), output=folder / "run", labels=labels, **options, **recorded)


def damage(kind, number, good, folder):
    """Copy the good files into `folder`, damage that of a format, unless the number is None, and return its path."""
    form, random = FORMATS[kind], Random(f"{kind} {number}")
    shutil.copytree(good, folder)
    path = folder / form.name
    if number is not None:
        with warnings.catch_warnings():
            # A name may be twice in a zip file.
            warnings.simplefilter("ignore")
            path.write_bytes(form.damage(path.read_bytes(), random))
    return path


def _read(kind, path):
    """Read a file; return whether it is refused in words."""
    warnings.simplefilter("ignore")
    tempfile.tempdir = str(path.parent)
    before, refused = set(path.parent.rglob("*")), False
    try:
        refused = bool(FORMATS[kind].read(path))
    except BrianSnnError as error:
        assert shown(str(error)).strip(), "an error without words"
        refused = True
    left = set(path.parent.rglob("*")) - before
    assert not left, f"left behind: {left}"
    return refused


def tried(kind, numbers, good):
    """Damage and read files of a format; return what went wrong, by number."""
    wrong = []
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            path = damage(kind, number, good, Path(folder) / "call")
            outcome = run_limited(_read, kind, path, limits=LIMITS)
        if outcome.kind != "returned" or (number is None and outcome.value):
            wrong.append((number, outcome.kind, repr(outcome.value)[:500]))
    return wrong


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Return a function that tries files of a format in another Python."""
    folder = tmp_path_factory.mktemp("good")
    with untouched_python("brian_snn.results.load", "brian_snn.cli.sweep", "brian_snn.photos") as python:
        # In a fork too: it makes models.
        assert python.submit(run_limited, write_good_files, folder, limits=LIMITS).result().kind == "returned"
        yield lambda kind, numbers: python.submit(tried, kind, numbers, folder).result()


@pytest.mark.parametrize("kind", FORMATS)
def test_the_good_file_is_read_and_damaged_ones_are_read_or_refused(elsewhere, kind):
    n_files = 4 if kind in ("keras", "h5") or kind.startswith("run_") else 20
    assert elsewhere(kind, [None, *range(n_files)]) == []


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_files_are_read_or_refused(elsewhere, kind, part):
    n_files = 150 if kind in ("keras", "h5") else 1000
    assert elsewhere(kind, range(part * n_files, (part + 1) * n_files)) == []
