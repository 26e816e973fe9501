"""``brian-snn check``: exit codes, what is shown, the table."""

import numpy as np
import pandas as pd
import pytest

from brian_snn.cli.main import main
from tests.planted import STEPS, planted_images, planted_network, record

NETWORK, IMAGES = planted_network(), planted_images()


@pytest.fixture
def files(tmp_path):
    """Return a function that writes the network, images and a run, and returns the beginning of the command."""
    NETWORK.save(tmp_path / "net.npz")
    np.savez(tmp_path / "images.npz", x=IMAGES)

    def written(*rules, rename=lambda name: name, **arrays):
        spikes = {f"spikes/{rename(n)}": s for n, s in record(NETWORK, IMAGES, rules).items()} | arrays
        np.savez(tmp_path / "run.npz", **spikes)
        return ["check", f"{tmp_path}/net.npz", f"{tmp_path}/run.npz", "--data", f"{tmp_path}/images.npz"]

    return written


def test_the_same_spikes_are_0(files, capsys):
    assert main(files()) == 0
    assert "Eq. (4b): every spike is the same" in capsys.readouterr().out


def test_other_spikes_are_1_and_the_rule_is_named(files, capsys, tmp_path):
    assert main([*files("> instead of >="), "-o", f"{tmp_path}/table.csv"]) == 1
    shown = capsys.readouterr().out
    assert "> instead of >=: no spike is left unexplained" in shown
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(table["population"]) == ["conv", "pool", "average", "hidden", "out"]
    first = table[table["image"].notna()].iloc[0]
    # A potential that only meets the threshold is where > and >= part.
    assert (first["u"], first["margin"], first["expected"], first["found"]) == (1, 0, 1, 0)
    assert first["v_before"] + first["arrived"] == first["u"]


def test_the_first_difference_and_what_arrived_there_is_shown(files, capsys):
    assert main(files("flattened channels first")) == 1
    shown = capsys.readouterr().out
    assert "First difference: hidden, image 0, neuron" in shown
    assert "weight" in shown and "average" in shown


def test_what_arrived_adds_up_to_what_the_neuron_integrated():
    import brian_snn

    found = brian_snn.check(NETWORK, record(NETWORK, IMAGES, ("flattened channels first",)), IMAGES)
    first = found.table.set_index("population").loc["hidden"]
    bias = NETWORK["hidden"].bias[int(first["neuron"])]
    assert (found.arriving["weight"] * found.arriving["spikes"]).sum() + bias == first["arrived"]


def test_names_are_read_from_a_table(files, tmp_path, capsys):
    (tmp_path / "names.csv").write_text(
        "theirs,ours\n" + "".join(f"m.{p.name},{p.name}\n" for p in NETWORK.populations)
    )
    assert main([*files(rename=lambda name: f"m.{name}"), "--names", f"{tmp_path}/names.csv"]) == 0
    (tmp_path / "names.csv").write_text("ours,theirs\n")
    assert main([*files(), "--names", f"{tmp_path}/names.csv"]) == 2
    assert "has the columns theirs and ours" in capsys.readouterr().err


def test_events_are_shown(files, tmp_path):
    rng = np.random.default_rng(0)
    shape = (2, STEPS, 4, 4, 2)
    rows = np.stack([rng.integers(0, 2, 300), rng.integers(1, STEPS + 1, 300), rng.integers(0, 32, 300)], axis=1)
    np.savez(tmp_path / "events.npz", events=rows, shape=np.array(shape))
    frames = np.zeros((2, STEPS, 32))
    np.add.at(frames, (rows[:, 0], rows[:, 1] - 1, rows[:, 2]), 1)
    spikes = record(NETWORK, frames.reshape(shape))
    command = files()
    np.savez(tmp_path / "run.npz", **{f"spikes/{name}": s for name, s in spikes.items()})
    assert main([*command[:3], "--events", f"{tmp_path}/events.npz"]) == 0


@pytest.mark.parametrize(
    "more",
    [["--steps", "0"], ["--steps", "9"], ["--layout", "whc"], ["--reset", "none"], ["--dt", "-1"], ["--dt", "nan"]],
)
def test_options_out_of_their_range_are_2(files, more, capsys):
    assert main([*files(), *more]) == 2
    assert capsys.readouterr().err.startswith("brian-snn: error: ")


def test_a_table_that_is_there_is_kept(files, tmp_path):
    (tmp_path / "table.csv").write_text("mine")
    assert main([*files(), "-o", f"{tmp_path}/table.csv"]) == 2
    assert (tmp_path / "table.csv").read_text() == "mine"
    assert main([*files(), "-o", f"{tmp_path}/table.csv", "--force"]) == 0


def test_a_name_that_moves_the_cursor_is_shown_escaped(files, capsys):
    assert main(files(**{"spikes/\x1b[2J": np.zeros((3, STEPS, 5))})) == 2
    assert "\x1b" not in capsys.readouterr().err
