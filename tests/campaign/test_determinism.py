"""The same bits, whoever computes them, in which pieces and surroundings; and no more memory the longer it goes on."""

import gc
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from brian_snn import load_network, load_result, simulate
from brian_snn.datasets import load_demo
from brian_snn.results.arrays import BOOK_NAMES
from brian_snn.results.result import Result
from tests.campaign.limits import Limits, run_limited
from tests.small_network import CHECKPOINTS, STEPS, differences, loop_result, small_images, small_network

ROOT = Path(__file__).resolve().parents[2]

#: What is simulated: the plain neuron, which a loop checks, and one with all that draws random numbers.
SETTINGS = {
    "plain": {"reset": "zero", "threshold": 0.75, "clamp": 3},
    "random": {"input_coding": "poisson", "readout": "softmax_generator", "max_pool": "gate", "seed": 7},
}
RECORDED = {"record_spikes": ("conv", "pool"), "record_potentials": ("out",), "checkpoints": CHECKPOINTS}

#: Backend and projection.
CARRIERS = (("standalone", "synapses"), ("standalone", "shared"), ("runtime", "synapses"), ("runtime", "shared"))

#: What is no number that was measured.
NOT_MEASURED = ("network", "settings", "images", "timings_s", "pieces", "booked")


def digest(result):
    """Return a hash of all arrays of a result, their types and shapes."""
    hashed = hashlib.sha256()
    names = [field.name for field in fields(Result) if field.name not in NOT_MEASURED]
    for name in (*names, *BOOK_NAMES):
        value = result.by_population(name)
        for key, array in sorted(value.items(), key=str) if isinstance(value, Mapping) else [("", value)]:
            array = np.asarray(array)
            hashed.update(f"{name} {key} {array.dtype.str} {array.shape}".encode() + np.ascontiguousarray(array).data)
    return hashed.hexdigest()


def images_for(n_images):
    """Return images that are rates, too."""
    return np.clip(small_images(n_images), 0, 1)


def run(settings, images, carrier=CARRIERS[0], **execution):
    """Simulate in this process."""
    options = SETTINGS[settings] | RECORDED | {"backend": carrier[0], "projection": carrier[1]}
    return simulate(small_network(), images, steps=STEPS, **options, **execution)


# Who computes, in which pieces and in which order


def check_pieces(settings, n_images, ways):
    """Compare every carrier, number of workers and size of shards with one worker and one shard."""
    images = images_for(n_images)
    reference = run(settings, images, shard_size=n_images)
    if settings == "plain":
        assert differences(reference, loop_result(small_network(), images, **SETTINGS["plain"])) == []
    wanted = digest(reference)
    others = [
        (carrier, workers, size)
        for carrier, workers, size in ways
        if digest(run(settings, images, carrier, workers=workers, shard_size=size)) != wanted
    ]
    assert others == []


@pytest.mark.slow
def test_some_pieces():
    check_pieces("plain", 9, [(CARRIERS[0], 3, 1), (CARRIERS[0], 2, 7), (CARRIERS[2], 1, 7), (CARRIERS[3], 1, 64)])


@pytest.mark.campaign
@pytest.mark.parametrize("settings", SETTINGS)
def test_all_pieces(settings):
    sizes = (1, 7, 64)
    # The runtime backend has one worker, this process.
    ways = [*itertools.product(CARRIERS[:2], (1, 2, 3), sizes), *itertools.product(CARRIERS[2:], (1,), sizes)]
    check_pieces(settings, 65, ways)


def check_orders(n_images, orders, carriers):
    """Compare images in other orders, and fewer of them, with the rows of all."""
    images = images_for(n_images)
    whole = run("plain", images, workers=2)
    for order, carrier in itertools.product(orders, carriers):
        part = run("plain", images[order], carrier, shard_size=7)
        for field in ("spike_counts", "potentials", "charge", "surplus"):
            for name, rows in part.by_population(field).items():
                assert np.array_equal(rows, whole.by_population(field)[name][order]), (order, field, name)


@pytest.mark.slow
def test_some_orders():
    check_orders(9, [np.arange(9)[::-1], np.arange(4, 9)], CARRIERS[:1])


@pytest.mark.campaign
def test_many_orders(rng):
    orders = [rng.permutation(65) for _ in range(5)] + [np.arange(k, 65) for k in (1, 7, 63, 64)]
    check_orders(65, orders, CARRIERS)


# Surroundings of the command line

#: Environment, umask and working folder; what is not said stays as it is.
SURROUNDINGS = {
    "as it is": {},
    "hash seed 0": {"env": {"PYTHONHASHSEED": "0"}},
    "hash seed 4242": {"env": {"PYTHONHASHSEED": "4242"}},
    "any hash seed": {"env": {"PYTHONHASHSEED": "random"}},
    "C": {"env": {"LC_ALL": "C", "LANG": "C"}},
    "Turkish": {"env": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}},
    "German": {"env": {"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"}},
    "Kathmandu": {"env": {"TZ": "Asia/Kathmandu"}},
    "one thread": {"env": dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")},
    "seven threads": {"env": dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "7")},
    "no assertions": {"env": {"PYTHONOPTIMIZE": "1"}},
    "umask 000": {"umask": 0},
    "umask 077": {"umask": 0o077},
    "another folder": {"folder": "Ümläut; $(x) 'y'"},
    "a folder with preferences": {"preferences": "core.default_float_dtype = float32\n"},
}


def together(*names):
    """Return several surroundings in one."""
    merged = {"env": {}}
    for name in names:
        merged |= SURROUNDINGS[name] | {"env": merged["env"] | SURROUNDINGS[name].get("env", {})}
    return merged


def command(arguments, place, env=None, umask=-1, folder="there", preferences=""):
    """Run the command line in some surroundings."""
    (place / folder).mkdir(exist_ok=True)
    (place / folder / "brian_preferences").write_text(preferences)
    done = subprocess.run(
        [sys.executable, "-m", "brian_snn", *map(str, arguments)],
        cwd=place / folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (env or {}),
        umask=umask,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def simulated(place, settings, carrier, surroundings):
    """Simulate what `place` holds by the command line and return the hash of the result."""
    options = SETTINGS[settings] | RECORDED | {"backend": carrier[0], "projection": carrier[1], "steps": STEPS}
    words = []
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", *(value if isinstance(value, tuple) else (value,))]
    arguments = ["simulate", place / "net.npz", "--data", place / "x.npz", *words, "--force", "-o", place / "run"]
    command(arguments, place, **surroundings)
    return digest(load_result(place / "run"))


@pytest.fixture(scope="module", autouse=True)
def locales(tmp_path_factory):
    """Make the locales where the system has their sources, as few machines have them ready."""
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef"):
        for name in ("tr_TR", "de_DE"):
            subprocess.run(["localedef", "-i", name, "-f", "UTF-8", folder / f"{name}.UTF-8"], capture_output=True)
    with pytest.MonkeyPatch.context() as patch:
        if len(os.listdir(folder)) == 2:
            patch.setenv("LOCPATH", str(folder))
        yield


@pytest.fixture
def place(tmp_path):
    """Return a folder with a network and images."""
    small_network().save(tmp_path / "net.npz")
    np.savez(tmp_path / "x.npz", x_test=images_for(9))
    return tmp_path


@pytest.mark.slow
def test_all_surroundings_at_once(place):
    odd = together("hash seed 4242", "Turkish", "Kathmandu", "seven threads", "umask 000", "another folder")
    odd["preferences"] = SURROUNDINGS["a folder with preferences"]["preferences"]
    assert simulated(place, "plain", CARRIERS[0], odd) == digest(run("plain", images_for(9)))


@pytest.mark.campaign
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_each_surroundings_with_builds_of_its_own(place, surroundings, tmp_path, monkeypatch):
    wanted = {settings: digest(run(settings, images_for(9))) for settings in SETTINGS}
    monkeypatch.setenv("BRIAN_SNN_CACHE", str(tmp_path / "cache"))
    for settings, carrier in itertools.product(SETTINGS, CARRIERS):
        assert simulated(place, settings, carrier, SURROUNDINGS[surroundings]) == wanted[settings], (settings, carrier)


@pytest.mark.campaign
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_a_model_becomes_the_same_network(cli_folder, surroundings, tmp_path):
    arguments = ["convert", cli_folder / "model.keras", "--data", cli_folder / "x.npz", "-o", tmp_path / "net.npz"]
    command(arguments, tmp_path, **SURROUNDINGS[surroundings])
    assert load_network(tmp_path / "net.npz").digest() == load_network(cli_folder / "net.npz").digest()


# Memory and file handles

#: What Python and the allocator take of themselves, whatever is done.
SLACK_BYTES = 32 * 2**20


def resident_bytes(pid="self"):
    """Return the memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def handles(pid="self"):
    """Return the number of files that a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def usage_of_calls(n_calls, carrier):
    """Simulate again and again; return memory and file handles after each call."""
    images, usage = images_for(3), []
    for _ in range(n_calls):
        run("plain", images, carrier)
        # Brian2's objects know each other; Python takes its time to collect them where the tests have filled its heap.
        gc.collect()
        usage.append((resident_bytes(), handles()))
    return usage


def check_calls(n_calls, carrier):
    """Compare the last of many calls in one process with one early on."""
    usage = run_limited(usage_of_calls, n_calls, carrier, limits=Limits(wall_s=3600)).unwrap()
    early, last = usage[n_calls // 5], usage[-1]
    assert last[0] - early[0] < SLACK_BYTES, usage
    assert last[1] == early[1], usage


@pytest.mark.slow
def test_some_calls_in_one_process():
    check_calls(10, CARRIERS[0])


@pytest.mark.campaign
@pytest.mark.parametrize("carrier", CARRIERS)
def test_300_calls_in_one_process(carrier):
    check_calls(300, carrier)


@pytest.mark.campaign
@pytest.mark.parametrize("workers", [1, 2])
def test_3200_digits(tmp_path, workers):
    """In memory that the number of images has no part in: that of the first fifth of the time is all there is."""
    model, digits, _ = load_demo()
    np.savez(tmp_path / "x.npz", x_test=np.tile(digits.images, (16, 1, 1, 1)), y_test=np.tile(digits.labels, 16))
    command(["convert", model, "--data", tmp_path / "x.npz", "-o", tmp_path / "net.npz"], tmp_path)
    arguments = ["simulate", tmp_path / "net.npz", "--data", tmp_path / "x.npz", "--steps", 100, "-o", tmp_path / "run"]
    arguments += ["--workers", workers, "--shard-size", 16]
    process = subprocess.Popen([sys.executable, "-m", "brian_snn", *map(str, arguments)], cwd=ROOT)
    usage = []
    shards = tmp_path / "run" / "shards"
    while process.poll() is None:
        time.sleep(0.2)
        # Before the first shard it loads and compiles; at the end it puts things together.
        if shards.is_dir() and 0 < len(os.listdir(shards)) < 200:
            usage.append((resident_bytes(process.pid), handles(process.pid)))
    assert process.returncode == 0
    assert len(usage) > 10
    early = usage[: len(usage) // 5 + 1]
    assert max(memory for memory, _ in usage) - max(memory for memory, _ in early) < SLACK_BYTES, usage
    assert max(number for _, number in usage) <= 10 + 4 * workers, usage
    result = load_result(tmp_path / "run")
    rows = result.spike_counts[result.network.populations[-2].name]
    assert all(np.array_equal(rows[:200], rows[k : k + 200]) for k in range(0, 3200, 200))
