"""Input that changes from step to step: against the plain loop, in both backends, as arrays and as lists of events."""

import json

import numpy as np
import pytest
from brian2 import ms
from hypothesis import given, settings
from hypothesis import strategies as st

import brian_snn
from brian_snn import Events, load_result, simulate, stream, verify
from brian_snn.__main__ import main
from brian_snn.analysis.error import error_terms
from brian_snn.errors import DataError, SettingError
from brian_snn.network.forward import forward
from brian_snn.results.store import images_digest
from tests.simulation_cases import RECORDED
from tests.small_network import STEPS, Loop, differences, loop_result, small_network

IN_PROCESS = {"backend": "runtime"}


class FramesLoop(Loop):
    """The plain loop, whose currents are those of the frame of the step."""

    def __init__(self, network, images, settings):
        images = images.astype(np.float64)
        super().__init__(network, images[:, 0], settings)
        self.frames = [Loop(network, images[:, step], settings).current for step in range(images.shape[1])]

    def advance(self, population, step):
        self.current = self.frames[step - 1]
        super().advance(population, step)


def frames_of(seed=3, n_images=2, steps=STEPS):
    """Return currents of either sign."""
    return np.random.default_rng(seed).normal(0.3, 0.8, (n_images, steps, 5, 4, 2))


def spikes_of(seed=4, n_images=2, steps=STEPS):
    """Return spikes, of which one element in five has one in a step."""
    return (np.random.default_rng(seed).uniform(size=(n_images, steps, 5, 4, 2)) < 0.2).astype(np.uint8)


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.mark.parametrize(
    "options",
    [{}, {"reset": "zero", "clamp": 3, "threshold": 1.75, "v_init": 0.5}, {"readout": "spikes", "delay": 2 * ms}],
    ids=["plain", "clamped, zero", "spikes, delay"],
)
@pytest.mark.parametrize("frames", [frames_of(), spikes_of()], ids=["currents", "spikes"])
def test_a_step_shows_its_frame(network, frames, options):
    recorded = RECORDED if "delay" not in options else {}
    result = simulate(network, frames, **options, **recorded, **IN_PROCESS)
    assert result.settings.steps == STEPS
    if "delay" not in options:
        expected = loop_result(network, frames, FramesLoop, input_coding="frames", **options)
        assert not differences(result, expected)
        assert not differences(result, expected, ("spike_trains", "count_history"))
    report = verify(result, replay="all")
    assert report["holds"].all()
    rows = report.set_index(["population", "equation"])
    assert not rows.loc[("conv", "S9" if options.get("reset") else "S11"), "applicable"]
    assert (rows.xs("spikes", level="equation")["images"] == len(frames)).all()


@pytest.mark.slow
@pytest.mark.parametrize("projection", ["synapses", "shared"])
def test_compiled_frames_are_those_of_the_process(network, projection):
    options = {"projection": projection, "clamp": 2, "checkpoints": (5, 12), "record_spikes": ("conv", "mixed")}
    compiled = simulate(network, frames_of(), workers=2, shard_size=1, **options)
    in_process = simulate(network, frames_of(), **options, **IN_PROCESS)
    assert not differences(compiled, in_process, ("spike_counts", "potentials", "charge", "spike_trains"))
    assert (compiled.output_history == in_process.output_history).all()


def test_frames_that_are_all_the_same_are_an_image(network):
    image = np.random.default_rng(1).uniform(size=(2, 5, 4, 2))
    still = simulate(network, image, steps=STEPS, **IN_PROCESS)
    moving = simulate(network, np.repeat(image[:, None], STEPS, axis=1), **IN_PROCESS)
    assert not differences(moving, still, ("spike_counts", "potentials", "charge"))


@pytest.mark.parametrize("change", ["a frame", "a spike", "a potential", "a charge"])
def test_what_is_not_what_the_frames_bring_is_found(network, change):
    result = simulate(network, frames_of(), **IN_PROCESS)
    if change == "a frame":
        result.images[1, 7] += 0.25
    elif change == "a spike":
        result.spike_counts["conv"][0, 1, 1, 1] += 1
    else:
        (result.potentials if change == "a potential" else result.charge)["conv"][1, 0, 0, 0] += 2.0**-24
    report = verify(result, replay="all")
    assert set(report.loc[~report["holds"], "population"]) >= {"conv"}


# --- events ---------------------------------------------------------------------------------------------------------


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_events_are_the_frames_that_numpy_makes_of_them(data):
    shape = data.draw(st.tuples(*[st.integers(1, 4)] * 4))
    n_events = data.draw(st.integers(0, 20))
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    rows = np.column_stack([rng.integers(0, n, n_events) for n in (shape[0], shape[1], shape[2] * shape[3])])
    values = rng.normal(size=n_events) if data.draw(st.booleans()) else None
    dense = np.zeros((*shape[:2], shape[2] * shape[3]))
    for k, (image, step, element) in enumerate(rows):
        dense[image, step, element] += 1 if values is None else values[k]
    events = Events(rows + np.array([0, 1, 0]), shape, values)
    np.testing.assert_allclose(np.asarray(events), dense.reshape(shape), rtol=1e-14, atol=1e-14)
    chosen = rng.integers(0, shape[0], 3)
    assert (events[chosen] == np.asarray(events)[chosen]).all()
    assert all((one == other).all() for one, other in zip(events, np.asarray(events), strict=True))
    assert (events[1:] == np.asarray(events)[1:]).all()


def events_of(frames):
    """Return the events that frames of spikes consist of."""
    image, step, *place = np.nonzero(frames)
    element = np.ravel_multi_index(place, frames.shape[2:])
    return np.column_stack([image, step + 1, element])


def test_events_spike_as_their_frames(network, tmp_path):
    frames = spikes_of(n_images=5)
    events = Events(events_of(frames), frames.shape)
    expected = simulate(network, frames, **IN_PROCESS)
    parts = list(stream(network, events, shard_size=2, **IN_PROCESS))
    for result in (simulate(network, events, output=tmp_path / "run", shard_size=2, **IN_PROCESS), parts[0]):
        n = len(result.images)
        assert all((counts == expected.spike_counts[name][:n]).all() for name, counts in result.spike_counts.items())
    again = load_result(tmp_path / "run")
    assert verify(again, replay="all")["holds"].all()
    assert (np.asarray(again.images) == frames).all()


@pytest.mark.parametrize(
    ("rows", "shape", "values", "message"),
    [
        ([[0, 0, 0]], (1, 2, 3), None, "event 0 has step 0; it must be 1 to 2"),
        ([[0, 1, 0], [1, 1, 0]], (1, 2, 3), None, "event 1 has image 1; it must be 0 to 0"),
        ([[0, 1, 3]], (1, 2, 3), None, "event 0 has element 3; it must be 0 to 2"),
        ([[0, 1, -1]], (1, 2, 3), None, "element -1"),
        ([[0.5, 1, 0]], (1, 2, 3), None, "whole numbers"),
        ([[0, 1]], (1, 2, 3), None, "(n_events, 3)"),
        ([[0, 1, 0]], (1, 2), None, "(n_images, steps, *shape of the input)"),
        ([[0, 1, 0]], (1, 2, 3), [np.nan], "finite"),
        ([[0, 1, 0]], (2**40, 2, 3), None, "up to 16,777,216 images"),
        ([[0, 1, 0]], (1, 2**40, 3), None, "2,147,483,648 numbers"),
        ([[0, 1, 0]], (1, 2, 3, *[1] * 20), None, "(n_images, steps"),
        ([[0, 1, 0]], "many", None, "(n_images, steps"),
        ([[0, 1, 0]], (1, 2, 3), [1.0, 2.0], "one an event"),
    ],
)
def test_events_that_are_none_are_refused(rows, shape, values, message):
    with pytest.raises(DataError) as error:
        Events(rows, shape, values)
    assert message in str(error.value)


def test_a_folder_whose_images_are_no_frames_is_damaged(network, tmp_path):
    simulate(network, spikes_of(), output=tmp_path / "run", **IN_PROCESS)
    description = json.loads((tmp_path / "run" / "result.json").read_text("utf-8"))
    still = spikes_of()[:, 0]
    np.save(tmp_path / "run" / "images.npy", still)
    description["images_sha256"] = images_digest(still)
    (tmp_path / "run" / "result.json").write_text(json.dumps(description), "utf-8")
    with pytest.raises(DataError, match=r"images.npy.*\(30, 5, 4, 2\) was expected"):
        load_result(tmp_path / "run")


# --- what else goes with them ---------------------------------------------------------------------------------------


def test_the_account_of_the_error_adds_up(network):
    result = simulate(network, spikes_of(), clamp=2, **IN_PROCESS)
    own = {name: values * network[name].scale for name, values in forward(network, result.still_images[:]).items()}
    for name in ("conv", "pool", "average", "mixed", "out"):
        terms = error_terms(result, own, name)
        counts = result.spike_counts[name] if name != "out" else result.potentials[name]
        error = counts / result.window_steps(name) - own[name] / network[name].scale
        np.testing.assert_allclose(sum(terms.values()), error, atol=1e-12)


@pytest.mark.parametrize(
    ("images", "options", "error", "message"),
    [
        (frames_of(), {"steps": 20}, SettingError, "steps is 20; the images have 30 steps"),
        (frames_of(), {"settings": brian_snn.Settings()}, SettingError, "steps is 200"),
        (frames_of(), {"input_coding": "poisson"}, SettingError, "input_coding is 'poisson'"),
        (frames_of(), {"schedule": "brian2"}, SettingError, "input_coding"),
        (frames_of()[:, 0], {"input_coding": "frames"}, DataError, "(n_images, steps, 5, 4, 2)"),
        (frames_of()[..., :1], {}, DataError, "(30, 5, 4, 2)"),
        (frames_of() * np.nan, {}, DataError, "NaN"),
    ],
)
def test_what_does_not_fit_is_refused(network, images, options, error, message):
    with pytest.raises(error) as raised:
        simulate(network, images, **{"backend": "runtime", **options})
    assert message in str(raised.value)


# --- the command line -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def event_files(network, tmp_path_factory):
    """Return a folder with a network, the same spikes as frames and as events, and images."""
    folder, frames = tmp_path_factory.mktemp("events"), spikes_of(n_images=3)
    network.save(folder / "net.npz")
    np.savez(folder / "frames.npz", x=frames, y=np.arange(3))
    np.savez(folder / "events.npz", events=events_of(frames), shape=frames.shape, labels=np.arange(3))
    np.savez(folder / "outside.npz", events=events_of(frames), shape=(3, 7, 5, 4, 2))
    np.savez(folder / "shapeless.npz", events=events_of(frames))
    np.savez(folder / "other.npz", events=events_of(frames), shape=(3, 30, 40))
    return folder


def command(folder, data, *more):
    """Run ``brian-snn simulate`` in this process."""
    arguments = ["simulate", folder / "net.npz", "--data", folder / data, "--backend", "runtime", *more]
    return main([*map(str, arguments), "-o", str(folder / "run" / data), "--force"])


def test_the_command_takes_frames_and_events(event_files, capsys):
    counts = []
    for data in ("frames.npz", "events.npz"):
        assert command(event_files, data) == 0
        assert "accuracy on 3 images" in capsys.readouterr().out
        result = load_result(event_files / "run" / data)
        assert (result.settings.steps, result.settings.input_coding) == (30, "frames")
        counts.append(result.spike_counts["mixed"])
        assert main(["verify", str(event_files / "run" / data)]) == 0
    assert counts[0].any() and (counts[0] == counts[1]).all()


def test_a_report_is_made_of_frames(event_files):
    command(event_files, "events.npz", "--images", "2")
    assert main(["report", str(event_files / "run" / "events.npz"), "-o", str(event_files / "r.html")]) == 0
    assert "bounds are not proved for input_coding" in (event_files / "r.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("data", "more", "message"),
    [
        ("frames.npz", ["--steps", "20"], "the images have 30 steps"),
        ("outside.npz", [], "outside.npz: event"),
        ("shapeless.npz", [], "has events and no shape"),
        ("other.npz", [], "of inputs of shape (40,)"),
    ],
)
def test_the_command_says_what_does_not_fit(event_files, data, more, message, capsys):
    assert command(event_files, data, *more) == 2
    assert message in " ".join(capsys.readouterr().err.split())
