"""The program to take away: the numbers of a simulation without Python, in a folder that says nothing of its maker."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from brian2 import ms

import brian_snn
from brian_snn import simulate
from brian_snn.errors import DataError, OptionError, OutputError, SettingError
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT, Geometry, Population, Projection
from tests.simulation_cases import tiny, variant_network
from tests.small_network import GRID, STEPS, Loop, constant_network, loop_result, small_images, small_network, to_grid
from tests.variant_oracles import VariantLoop

#: Settings of the program that most tests share.
OPTIONS = {"steps": STEPS, "reset": "zero", "clamp": 3, "threshold": 0.75, "v_init": -0.25}

#: What a population may be called.
HOSTILE = 'x"; system("touch m4rk3r"); //\n{{ 7 * 7 }} ../../\x1b[31m %s $(HOME)'

#: All that a machine needs to have.
BARE = {"PATH": "/usr/bin:/bin"}

pytestmark = pytest.mark.slow


def named_network():
    """Return the small network with names that nobody should write anywhere but into a table."""
    small = small_network()
    names = {None: None} | {p.name: HOSTILE + p.name for p in small.populations}
    return replace(
        small,
        populations=tuple(replace(p, name=names[p.name]) for p in small.populations),
        projections=tuple(replace(p, source=names[p.source], target=names[p.target]) for p in small.projections),
        calibration_range=(0.0, 1.0),
    )


def compile_project(folder):
    """Compile a folder as its Makefile does. Flags do not change what comes out; without any it is done sooner."""
    subprocess.run(["make", "--silent", "CXXFLAGS=-O0"], cwd=folder, env=BARE, check=True)


def run(folder, *arguments, cwd="/"):
    """Run a program without an environment and return the finished process."""
    return subprocess.run([folder / "main", *arguments], cwd=cwd, env=BARE, capture_output=True, text=True)


def results_of(folder, images, tmp_path):
    """Show images to a program and return its files by name."""
    np.save(tmp_path / "images.npy", images)
    done = run(folder, "-o", "results", "images.npy", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    return {path.stem: np.load(path) for path in (tmp_path / "results").glob("*.npy")}, done.stdout


def differing(found, result):
    """Return the names of arrays that are not those of a result."""
    expected = {}
    for k, population in enumerate(result.network.populations):
        expected[f"spikes_{k}"] = result.spike_counts[population.name]
        expected[f"potentials_{k}"] = result.potentials[population.name]
        if population.name in result.heads:
            head = result.heads[population.name]
            expected |= {f"logits_{k}": head.logits, f"predictions_{k}": head.predictions}
    return [name for name, values in found.items() if not np.array_equal(values, expected[name])]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the folder of the shared program, not compiled."""
    folder = tmp_path_factory.mktemp("build") / "built"
    brian_snn.build(named_network(), output=folder, image=small_images(1)[0], projection="shared", **OPTIONS)
    return folder


@pytest.fixture(scope="module")
def program(built):
    """Return the folder of the shared program, compiled and then moved to a path with spaces."""
    folder = shutil.copytree(built, built.parent / "copy")
    compile_project(folder)
    return folder.rename(built.parent / "a robot's program")


# --- what it computes -----------------------------------------------------------------------------------------------


def test_it_has_the_numbers_of_a_simulation_and_of_the_loop(program, tmp_path):
    network, images = named_network(), small_images(5)
    found, said = results_of(program, images, tmp_path)
    assert sorted(found) == sorted(
        [f"spikes_{k}" for k in range(4)] + [f"potentials_{k}" for k in (0, 2, 3, 4)] + ["logits_4", "predictions_4"]
    )
    result = simulate(network, images, backend="runtime", **OPTIONS)
    assert differing(found, result) == []
    options = {name: value for name, value in OPTIONS.items() if name != "steps"}
    assert differing(found, loop_result(network, images, **options)) == []
    assert found["spikes_0"].any()
    assert said == "".join(f"image {k}: {answer}\n" for k, answer in enumerate(result.predictions))


def test_explicit_synapses_have_them_too(tmp_path):
    network, images = constant_network([0.3, 0.71, -0.2, 1.5]), np.zeros((2, 1))
    brian_snn.build(network, output=tmp_path / "program", steps=STEPS, projection="synapses")
    compile_project(tmp_path / "program")
    assert run(tmp_path / "program", "--check").returncode == 0
    found, _ = results_of(tmp_path / "program", images, tmp_path)
    counts = loop_result(network, images)
    assert [n for n in ("spikes_0", "potentials_0", "potentials_1") if n in differing(found, counts)] == []


@pytest.mark.parametrize(
    ("projection", "options", "loop"),
    [
        ("synapses", {"schedule": "brian2", "readout": "spikes"}, Loop),
        ("shared", {"delay": 2 * ms, "tau_m": 12.5 * ms, "refractory": 1 * ms, "max_pool": "gate"}, VariantLoop),
        ("shared", {"threshold_mismatch": 0.2, "adaptation_step": 0.1, "noise": 0.1, "seed": 2**70 + 3}, VariantLoop),
        (
            *("shared", {"reversal_excitatory": 4.0, "reversal_inhibitory": -0.5, "tau_syn": 2 * ms, "noise": 0.05}),
            VariantLoop,
        ),
        ("synapses", {"delay": 3 * ms, "delay_mismatch": 0.5, "reset": "zero", "clamp": 2}, VariantLoop),
        ("shared", {"float_type": "float32", "schedule": "brian2", "reset": "zero"}, Loop),
        ("synapses", {"burst": 3, "readout": "spikes", "clamp": 1}, VariantLoop),
        ("shared", {"burst": 2, "polarity": "signed", "v_init": 2.5, "tau_syn": 2 * ms}, VariantLoop),
    ],
    ids=["brian2", "variants", "parts", "conductances", "delay", "float32", "bursts", "signed"],
)
def test_other_settings_have_those_too(projection, options, loop, tmp_path, monkeypatch):
    if "float_type" in options:
        monkeypatch.setattr("tests.small_network.GRID", 2.0**-14)
    network, images = variant_network(options), small_images(3)
    brian_snn.build(network, output=tmp_path / "program", steps=STEPS, projection=projection, **options)
    compile_project(tmp_path / "program")
    assert run(tmp_path / "program", "--check").returncode == 0
    found, _ = results_of(tmp_path / "program", images, tmp_path)
    assert differing(found, simulate(network, images, steps=STEPS, backend="runtime", **options)) == []
    plain = {name: value for name, value in options.items() if name != "float_type"}
    counts = loop_result(network, images, loop, **plain)
    assert [n for n in differing(found, counts) if n.startswith(("spikes", "potentials"))] == []
    np.save(tmp_path / "last.npy", images[2:])
    assert run(tmp_path / "program", "--first", "2", "-o", "last", "last.npy", cwd=tmp_path).returncode == 0
    assert all(np.array_equal(np.load(tmp_path / "last" / f"{name}.npy"), found[name][2:]) for name in found)


def test_every_kind_of_output_says_what_a_result_says(tmp_path):
    """A class for each place, with ties; yes or no for each of several units and for a single one; a number."""
    heads = {
        "map": ((2, 2, 3), "softmax"),
        "several": ((3,), "sigmoid"),
        "single": ((1,), "sigmoid"),
        "n": ((1,), "linear"),
    }
    rng = np.random.default_rng(6)
    populations = [Population("layer", "spiking", (7,), np.zeros(7), 1)]
    projections = [Projection(INPUT, "layer", Geometry("dense", (4,), (7,)), to_grid(rng.normal(size=(4, 7))))]
    for name, (shape, _) in heads.items():
        size = int(np.prod(shape))
        weights = to_grid(rng.normal(size=(7, size)))
        # Two classes that are always equal.
        weights[:, 1 : size // 2 : 3] = weights[:, : size // 2 : 3]
        populations.append(Population(name, "readout", shape, np.zeros(shape), 2, scale=1.0))
        geometry, target = Geometry("dense", (7,), (size,)), np.arange(size, dtype=np.int32)
        projections.append(Projection("layer", name, geometry, weights, target_index=target))
    kinds = tuple((name, kind) for name, (_, kind) in heads.items())
    network = Network(tuple(populations), tuple(projections), (4,), grid=GRID, heads=kinds)
    images = rng.normal(size=(6, 4))
    for readout in ("potential", "spikes"):
        folder, place = tmp_path / readout / "program", tmp_path / readout
        brian_snn.build(network, output=folder, steps=STEPS, readout=readout)
        compile_project(folder)
        found, said = results_of(folder, images, place)
        assert differing(found, simulate(network, images, steps=STEPS, readout=readout, backend="runtime")) == []
        assert found["predictions_1"].shape == (6, 2, 2)
        assert found["predictions_3"].shape == (6,)
        assert "predictions_4" not in found
        numbers = [float(line.rpartition("| ")[2]) for line in said.splitlines()]
        assert np.array_equal(numbers, found["logits_4"][:, 0])


@pytest.mark.parametrize("suffix", ["f64", "f32", "u8"])
def test_bare_numbers_are_images_too(program, suffix, tmp_path):
    whole = np.random.default_rng(3).integers(0, 256, (3, 5, 4, 2)).astype(np.uint8)
    images = {"f64": whole / 300, "f32": (whole / 300).astype(np.float32), "u8": whole}[suffix]
    images.tofile(tmp_path / f"images.{suffix}")
    divide = ["--divide-by", "255"] if suffix == "u8" else []
    done = run(program, *divide, "-o", tmp_path / "results", tmp_path / f"images.{suffix}")
    assert (done.returncode, done.stderr) == (0, "")
    pixels = images / 255 if divide else images
    result = simulate(named_network(), pixels, backend="runtime", **OPTIONS)
    assert np.array_equal(np.load(tmp_path / "results" / "potentials_4.npy"), result.potentials[HOSTILE + "out"])


def test_one_image_and_several_files_are_shown_in_order(program, tmp_path):
    images = small_images(3)
    np.save(tmp_path / "one.npy", images[0])
    np.save(tmp_path / "two.npy", images[1:])
    done = run(program, "one.npy", "two.npy", cwd=tmp_path)
    predictions = simulate(named_network(), images, backend="runtime", **OPTIONS).predictions
    assert done.stdout == "".join(f"image {k}: {answer}\n" for k, answer in enumerate(predictions))


# --- whether it is whole --------------------------------------------------------------------------------------------


def test_the_check_passes_and_finds_a_wrong_answer(program, tmp_path):
    done = run(program, "--check")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "all counts and potentials are right")
    copy = shutil.copytree(program, tmp_path / "copy")
    wrong = np.load(copy / "check" / "spikes_1.npy") + np.eye(1, 18, dtype=np.int32).reshape(1, 3, 2, 3)
    np.save(copy / "check" / "spikes_1.npy", wrong)
    # Without the sums, which would find it first.
    (copy / "model" / "sums.txt").write_text("")
    done = run(copy, "--check")
    assert done.returncode == 1
    assert "spikes_1: 1 of 18 differ\n" in done.stdout


def test_no_byte_of_its_numbers_may_change(program, tmp_path):
    copy = shutil.copytree(program, tmp_path / "copy")
    paths = [path for name in ("model", "check", "static_arrays") for path in sorted((copy / name).iterdir())]
    assert len(paths) > 25
    rng = np.random.default_rng(8)
    for path in paths:
        before = path.read_bytes()
        for place in {0, len(before) - 1, int(rng.integers(len(before)))}:
            changed = bytearray(before)
            changed[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(changed)
            assert run(copy, "--check").returncode in (1, 2), (path, place)
        path.write_bytes(before)
    assert run(copy, "--check").returncode == 0


# --- what it refuses ------------------------------------------------------------------------------------------------


def refusal(program, tmp_path, images, *options):
    """Return what a program says of images that it must not take; nothing is left behind."""
    np.save(tmp_path / "images.npy", images)
    done = run(program, *options, "-o", "results", "images.npy", cwd=tmp_path)
    assert done.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["images.npy"]
    assert done.stderr.startswith("main: error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("factor", [1e9, 1e300])
def test_an_image_that_could_leave_the_exact_range_is_refused_in_the_same_words(program, tmp_path, factor):
    images = factor * small_images(1)
    with pytest.raises((SettingError, DataError)) as error:
        simulate(named_network(), images, backend="runtime", any_range=True, **OPTIONS)
    assert f"image 0: {error.value}" in refusal(program, tmp_path, images, "--any-range")


def test_images_far_from_the_calibration_range_and_such_as_are_no_numbers_are_refused(program, tmp_path):
    images = small_images(2)
    for wrong in (images * 255, images * 1e-3, np.where(images > 0.9, np.nan, images)):
        with pytest.raises(DataError) as error:
            simulate(named_network(), wrong, backend="runtime", **OPTIONS)
        assert str(error.value).partition(";")[0] in refusal(program, tmp_path, wrong)
    assert "have shape (2, 4, 4, 2); the model's input is (5, 4, 2)" in refusal(program, tmp_path, images[:, :4])
    assert "of a type that is not read" in refusal(program, tmp_path, images * 1j)
    assert "Fortran" in refusal(program, tmp_path, np.asfortranarray(images))


def test_files_and_options_that_make_no_sense_are_refused(program, tmp_path):
    np.save(tmp_path / "good.npy", small_images(1))
    whole = (tmp_path / "good.npy").read_bytes()
    for name, content in {
        "cut.npy": whole[:-1],
        "long.npy": whole + b"0",
        "no.npy": b"no",
        "odd.u8": b"123",
        "x.txt": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert run(program, tmp_path / name).returncode == 2, name
    (tmp_path / "there").mkdir()
    wrong = (
        "-o there good.npy",
        "--colour good.npy",
        "--divide-by 0 good.npy",
        "--first -1 good.npy",
        "--check good.npy",
        "-o",
        "",
        "none.npy",
    )
    for arguments in wrong:
        done = run(program, *arguments.split(), cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), arguments


# --- the folder -----------------------------------------------------------------------------------------------------


def contents(folder):
    """Return the bytes of all files by their path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_command_makes_the_same_folder_elsewhere_and_without_a_compiler(built, tmp_path):
    named_network().save(tmp_path / "net.npz")
    np.save(tmp_path / "x.npy", small_images(2))
    settings = "--steps 30 --reset zero --clamp 3 --threshold 0.75 --v-init=-0.25 --projection shared"
    command = ["build", "net.npz", "--data", "x.npy", *settings.split(), "-o", "out"]
    # Strings are hashed in another order.
    environment = os.environ | {"PATH": "", "PYTHONHASHSEED": "77", "TMPDIR": str(tmp_path)}
    environment["PYTHONPATH"] = str(Path(brian_snn.__file__).parent.parent)
    subprocess.run([sys.executable, "-m", "brian_snn", *command], cwd=tmp_path, env=environment, check=True)
    assert contents(tmp_path / "out") == contents(built)


def test_nothing_says_where_or_by_whom_it_was_made(built):
    places = {
        str(built.parent),
        os.getcwd(),
        str(Path.home()),
        sys.prefix,
        sys.base_prefix,
        os.environ.get("TMPDIR", "/tmp"),
    }
    places |= {str(Path(brian_snn.__file__).parent), os.environ["BRIAN_SNN_CACHE"]}
    for name, content in contents(built).items():
        assert [place for place in places - {"/"} if place.encode() in content] == [], name
        assert (
            not re.search(rb"\b20[0-9][0-9]-[01][0-9]-[0-3][0-9]\b|__DATE__|__TIME__", content) or "LICENSE" in name
        ), name


def test_names_stand_in_one_table_escaped(built):
    holding = [name for name, content in contents(built).items() if b"m4rk3r" in content or "m4rk3r" in name]
    assert holding == ["model/names.txt"]
    lines = (built / "model" / "names.txt").read_text("utf-8").splitlines()
    assert [line.partition(" ")[0] for line in lines] == list("01234")
    assert all(line.isprintable() for line in lines)


def test_a_folder_is_replaced_on_request_and_only_if_nothing_else_is_in_it(built, tmp_path):
    folder = shutil.copytree(built, tmp_path / "program")
    with pytest.raises(OutputError, match="earlier result"):
        brian_snn.build(tiny(), output=folder)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="did not write"):
        brian_snn.build(tiny(), output=folder, replace=True)
    (folder / "mine.txt").unlink()
    assert contents(folder) == contents(built)
    brian_snn.build(tiny(), output=folder, replace=True, steps=8)
    assert b"steps 8" in (folder / "README.md").read_bytes()
    # Of a network that was calibrated on nothing the test image is random in [0, 1].
    assert 0 < np.load(folder / "check" / "image.npy").item() < 1


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"readout": "softmax"}, SettingError, "readout is 'softmax'; .* 'potential' or 'spikes'"),
        ({"input_coding": "poisson"}, SettingError, "input_coding is 'poisson'"),
        ({"input_coding": "frames"}, SettingError, "input_coding is 'frames'"),
        ({"backend": "runtime"}, SettingError, "backend is 'runtime'"),
        ({"workers": 2}, OptionError, "'workers' is no setting"),
        ({"checkpoints": [3]}, OptionError, "'checkpoints' is no setting"),
        ({"step": 2}, OptionError, "did you mean steps"),
        ({"image": np.zeros((5, 4))}, DataError, "shape"),
        ({"image": np.full((5, 4, 2), 1e12)}, SettingError, "could gather"),
    ],
)
def test_what_a_program_cannot_have_is_refused_and_nothing_is_written(tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        brian_snn.build(small_network(), output=tmp_path / "program", **options)
    assert list(tmp_path.iterdir()) == []
