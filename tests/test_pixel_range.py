"""Images in another unit than the calibration images are refused, wherever they come in, unless that is wanted."""

import json
from dataclasses import replace

import numpy as np
import pytest

import brian_snn
from brian_snn import Settings
from brian_snn.__main__ import main
from brian_snn.conversion.normalise import normalise, round_to_grid
from brian_snn.datasets import check_image_array
from brian_snn.errors import DataError
from brian_snn.pixel_range import is_far_outside
from brian_snn.running.simulate import simulate
from tests.command_line import fails_cleanly
from tests.small_network import small_images, small_network

OPTIONS = {"steps": 5, "backend": "runtime"}


def calibrated(low, high):
    return replace(small_network(), calibration_range=(low, high))


@pytest.mark.parametrize(
    ("found", "far"),
    [
        ((0, 1), False),
        ((-1, 2), False),
        ((-1.01, 1), True),
        ((0, 2.01), True),
        ((0, 255), True),
        # No more than a hundredth of the range is too little, nothing at all is a blank image.
        ((0.2, 0.2), False),
        ((0.2, 0.2099), True),
        ((0.2, 0.2101), False),
        ((1.5, 1.505), True),
    ],
)
def test_far_is_further_than_the_range_is_wide_or_less_than_a_hundredth_of_it(found, far):
    assert is_far_outside(found, (0.0, 1.0)) is far
    # The same in another unit.
    moved = tuple(255 * pixel - 100 for pixel in found)
    assert is_far_outside(moved, (-100.0, 155.0)) is far


@pytest.mark.parametrize("known", [None, (0.5, 0.5)], ids=["unknown", "all the same"])
def test_of_calibration_images_without_a_range_nothing_is_said(known):
    assert not is_far_outside((-1e6, 1e6), known)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, bool])
def test_the_range_is_that_of_all_pieces(dtype, tmp_path):
    pixels = np.zeros((700, 3), dtype)
    pixels[650, 2] = 1
    np.save(tmp_path / "x.npy", pixels)
    found = check_image_array(np.load(tmp_path / "x.npy", mmap_mode="r"), (3,))[1]
    assert found == (0.0, 1.0) and all(type(end) is float for end in found)


def test_normalising_notes_the_range_of_the_calibration_images(tmp_path):
    images = 3 * small_images(4) - 1
    folded = replace(small_network(), normalisation="none", grid=0.0)
    network = normalise(folded, images)
    assert network.calibration_range == (images.min(), images.max())
    rounded = round_to_grid(network, 2.0**-24)
    rounded.save(tmp_path / "net.npz")
    assert brian_snn.load_network(tmp_path / "net.npz").calibration_range == network.calibration_range


@pytest.mark.parametrize("damaged", [[0.0], [1.0, 0.0], [0.0, float("inf")], "wide"])
def test_a_range_that_is_none_is_a_damaged_file(damaged, tmp_path):
    calibrated(0.0, 1.0).save(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as file:
        arrays = {name: file[name] for name in file.files}
    structure = json.loads(arrays["structure"].tobytes()) | {"calibration_range": damaged}
    np.savez(tmp_path / "net.npz", **arrays | {"structure": np.frombuffer(json.dumps(structure).encode(), np.uint8)})
    with pytest.raises(DataError, match="is damaged"):
        brian_snn.load_network(tmp_path / "net.npz")


# --- every way in ---------------------------------------------------------------------------------------------------

WAYS = {
    "simulate": lambda network, images, **options: brian_snn.simulate(network, images, **OPTIONS, **options),
    "stream": lambda network, images, **options: list(
        brian_snn.stream(network, images, Settings(**OPTIONS), **options)
    ),
    "settings": lambda network, images, **options: simulate(network, images, Settings(**OPTIONS), **options),
}

MISTAKES = {
    "bytes for fractions": (255 * small_images(3), (0.0, 1.0), "images range from .* to 25.*calibrated on from 0 to 1"),
    "fractions for bytes": (
        small_images(3),
        (0.0, 255.0),
        "calibrated on from 0 to 255; scale them as .*any_range=True",
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("images", "known", "words"), MISTAKES.values(), ids=MISTAKES)
def test_it_is_refused_with_both_ranges_unless_it_is_wanted(way, images, known, words, tmp_path):
    network = calibrated(*known)
    with pytest.raises(DataError, match=words):
        way(network, images)
    np.save(tmp_path / "x.npy", images)
    with pytest.raises(DataError, match=words):
        way(network, np.load(tmp_path / "x.npy", mmap_mode="r"))
    way(network, images, any_range=True)


def test_poisson_input_is_checked_too():
    with pytest.raises(DataError, match="calibrated on from 0 to 255"):
        brian_snn.simulate(calibrated(0.0, 255.0), small_images(2) % 1, **OPTIONS, input_coding="poisson")


def test_a_run_that_goes_on_is_checked_too(tmp_path):
    network, images = calibrated(0.0, 1.0), 255 * small_images(3)
    first = brian_snn.simulate(network, images, **OPTIONS, output=tmp_path / "run", any_range=True)
    with pytest.raises(DataError, match="calibrated on"):
        brian_snn.simulate(network, images, **OPTIONS, output=tmp_path / "run")
    again = brian_snn.simulate(network, images, **OPTIONS, output=tmp_path / "run", any_range=True)
    assert all(np.array_equal(again.spike_counts[name], counts) for name, counts in first.spike_counts.items())


@pytest.fixture(scope="module")
def folder(cli_folder, tmp_path_factory):
    """Return a folder with the same images in another unit, and a sweep over them."""
    folder = tmp_path_factory.mktemp("range")
    with np.load(cli_folder / "x.npz") as data:
        np.savez(folder / "bytes.npz", x_test=255 * data["x_test"], y_test=data["y_test"])
    files = {"model": cli_folder / "model.keras", "calibration": cli_folder / "x.npz", "data": folder / "bytes.npz"}
    (folder / "sweep.toml").write_text(
        "".join(f'{name} = "{path}"\n' for name, path in files.items()) + 'backend = "runtime"\n[grid]\nsteps = [4]\n'
    )
    return folder


@pytest.mark.parametrize("command", ["simulate", "sweep"])
def test_commands_have_the_option(command, cli_folder, folder, tmp_path, capsys):
    arguments = {
        "simulate": [f"{cli_folder}/net.npz", "--data", f"{folder}/bytes.npz", "--steps", "4", "--backend", "runtime"],
        "sweep": [f"{folder}/sweep.toml"],
    }[command]
    call = [command, *arguments, "-o", f"{tmp_path}/out"]
    assert main(call) == 2
    assert "those that the network was calibrated on from" in capsys.readouterr().err
    assert main([*call, "--any-range"]) == 0


def test_bench_has_the_option(cli_folder, folder, tmp_path, capsys):
    call = ["bench", f"{cli_folder}/net.npz", "--data", f"{folder}/bytes.npz", "--images", "2", "--steps", "3"]
    fails_cleanly(capsys, call, tmp_path / "table.csv")
    assert main([*call, "--any-range", "--rounds", "1", "--workers", "1"]) == 0


def test_a_sweep_file_may_say_it(folder, tmp_path):
    path = folder / "wanted.toml"
    path.write_text("any_range = true\n" + (folder / "sweep.toml").read_text())
    assert main(["sweep", str(path), "-o", f"{tmp_path}/out"]) == 0


def test_the_report_of_such_a_run_tells_how_to_have_it_again(cli_folder, folder, tmp_path):
    call = [
        "simulate",
        f"{cli_folder}/net.npz",
        "--data",
        f"{folder}/bytes.npz",
        "--steps",
        "4",
        "--backend",
        "runtime",
    ]
    assert main([*call, "--any-range", "-o", f"{tmp_path}/run"]) == 0
    assert main(["report", f"{tmp_path}/run", "-o", f"{tmp_path}/page.html"]) == 0
    assert "--any-range" in (tmp_path / "page.html").read_text("utf-8")
    assert main(["report", f"{cli_folder}/run", "-o", f"{tmp_path}/plain.html"]) == 0
    assert "--any-range" not in (tmp_path / "plain.html").read_text("utf-8")
