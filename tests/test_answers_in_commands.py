"""What the commands say of answers that are right or wrong, or neither."""

import keras
import numpy as np
import pandas as pd
import pytest

import brian_snn
from brian_snn.__main__ import main
from brian_snn.analysis.operations import saturated_share
from tests.models import images_for, outputs_of, trained_like
from tests.oracles import wilson_by_roots
from tests.report_reading import HtmlPage


@pytest.fixture(scope="module", params=["yes or no", "labels", "pixels", "a number"])
def written(request, tmp_path_factory):
    """Return a folder with a model of some kind, its images, labels and its network, and its answers by Keras."""

    folder, k = tmp_path_factory.mktemp("answers"), keras.layers
    image = keras.Input((6, 6, 1))
    x = k.Conv2D(3, 3, activation="relu")(image)
    flat = k.Flatten()(x)
    output = {
        "yes or no": lambda: k.Dense(1, activation="sigmoid")(flat),
        "labels": lambda: k.Dense(4, activation="sigmoid")(flat),
        "pixels": lambda: k.Conv2D(3, 1, activation="softmax")(x),
        "a number": lambda: k.Dense(1)(flat),
    }[request.param]()
    model = trained_like(keras.Model(image, output), seed=6)
    images = images_for(model, 20)
    outputs = outputs_of(model, images)
    labels = {
        "yes or no": lambda: (outputs[:, 0] > 0.5).astype(int),
        "labels": lambda: (outputs > 0.5).astype(int),
        "pixels": lambda: outputs.argmax(axis=-1),
        "a number": lambda: outputs[:, 0],
    }[request.param]()
    model.save(folder / "model.keras")
    np.savez(folder / "x.npz", x_norm=images, x_test=images, y_test=labels)
    assert main(["convert", f"{folder}/model.keras", "--data", f"{folder}/x.npz", "-o", f"{folder}/net.npz"]) == 0
    return folder, labels, request.param


def simulate_command(folder, output):
    data = ["--data", f"{folder}/x.npz"]
    return ["simulate", f"{folder}/net.npz", *data, "--steps", "40", "--backend", "runtime", "-o", f"{output}"]


def test_simulate_and_the_report_show_both_accuracies_or_none(written, tmp_path, capsys):
    folder, labels, kind = written
    command = [*simulate_command(folder, tmp_path / "run"), "--checkpoints", "20", "40"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert main(["report", f"{tmp_path}/run", "--model", f"{folder}/model.keras", "-o", f"{tmp_path}/page.html"]) == 0
    page = HtmlPage((tmp_path / "page.html").read_text("utf-8"))
    head = dict(zip(page.text["dt"], page.text["dd"], strict=True))
    result = brian_snn.load_result(tmp_path / "run")
    assert f"{100 * saturated_share(result):.2f} %" in shown
    if kind == "a number":
        assert "accuracy" not in shown and "accuracy" not in " ".join(head)
        assert not (tmp_path / "run" / "labels.npy").exists()
        expected = reference(folder, result)
        table = {row[0]: value for row, (_, value) in rows_of(page, "Measured and expected values")}
        assert table["rms error"] == pytest.approx(np.sqrt(np.mean((result.logits - expected) ** 2)), rel=1e-9)
        return
    assert np.array_equal(np.load(tmp_path / "run" / "labels.npy"), labels)
    right = np.mean(result.predictions == labels)
    intervals = [wilson_by_roots(share * 20, 20) for share in (right, 1.0)]
    for share, (low, high) in zip((right, 1.0), intervals, strict=True):
        assert f"{100 * share:.2f} % ({100 * low:.2f} to {100 * high:.2f} %)" in shown
    shares = {what.partition(";")[0]: share for what, share in head.items()}
    assert shares["accuracy of the spiking network"] == f"{100 * right:.2f} %"
    assert shares["accuracy of the trained network"] == "100.00 %"
    assert [values[1] for _, values in rows_of(page, "Classes that")] == [right, 1.0, 1.0]


def rows_of(page, beginning):
    """Return (texts, values) of the rows of a table."""
    (label,) = [label for label in page.tables if label.startswith(beginning)]
    return list(zip(page.tables[label].texts, page.tables[label].values, strict=True))


def reference(folder, result):
    """Return what Keras makes of the images of a result."""

    return outputs_of(keras.saving.load_model(folder / "model.keras"), np.asarray(result.images))


def test_a_sweep_has_an_accuracy_where_there_are_classes(written, tmp_path, capsys):
    folder, labels, kind = written
    files = "".join(f'{name} = "{folder}/x.npz"\n' for name in ("calibration", "data"))
    (tmp_path / "sweep.toml").write_text(
        f'model = "{folder}/model.keras"\n{files}backend = "runtime"\nverify = false\n[grid]\nsteps = [20, 40]\n'
    )
    assert main(["sweep", f"{tmp_path}/sweep.toml", "-o", f"{tmp_path}/out"]) == 0
    table, network = pd.read_csv(tmp_path / "out" / "sweep.csv"), brian_snn.load_network(folder / "net.npz")
    shown = capsys.readouterr().out
    if kind == "a number":
        assert table[["accuracy", "ann_accuracy"]].isna().all(axis=None) and "trained network" not in shown
        return
    assert (table["ann_accuracy"] == 1).all() and "trained network" in shown
    with np.load(folder / "x.npz") as data:
        for _, row in table.iterrows():
            predictions = brian_snn.simulate(network, data["x_test"], steps=row["steps"], backend="runtime").predictions
            assert row["accuracy"] == np.mean(predictions == labels)


def test_labels_of_another_network_are_refused_by_every_command(written, tmp_path, capsys):
    folder, labels, kind = written
    if kind == "a number":
        labels = labels[:-1]
    with np.load(folder / "x.npz") as data:
        np.savez(tmp_path / "x.npz", x_test=data["x_test"], x_norm=data["x_norm"], y_test=labels + 2)
    (tmp_path / "sweep.toml").write_text(
        f'model = "{folder}/model.keras"\ncalibration = "x.npz"\ndata = "x.npz"\n[grid]\nsteps = [2]\n'
    )
    data = ["--data", f"{tmp_path}/x.npz"]
    for command in (
        ["simulate", f"{folder}/net.npz", *data, "-o", f"{tmp_path}/run"],
        ["sweep", f"{tmp_path}/sweep.toml", "-o", f"{tmp_path}/out"],
        ["bench", f"{folder}/net.npz", *data],
    ):
        assert main(command) == 2
        assert "labels of" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def test_labels_in_a_run_folder_must_fit_too(written, tmp_path, capsys):
    folder, labels, kind = written
    assert main(simulate_command(folder, tmp_path / "run")) == 0
    spoilt = np.zeros(19, int) if kind == "a number" else labels + 3
    np.save(tmp_path / "run" / "labels.npy", spoilt)
    assert main(["report", f"{tmp_path}/run", "-o", f"{tmp_path}/page.html"]) == 2
    assert "labels.npy" in capsys.readouterr().err


def test_a_finished_run_repeated_says_that_it_was_complete(written, tmp_path, capsys):
    folder, _, _ = written
    command = simulate_command(folder, tmp_path / "run")
    assert main(command) == 0
    assert "complete" not in "".join(capsys.readouterr())
    assert main(command) == 0
    result, progress = capsys.readouterr()
    assert "complete already" in progress and "was complete: nothing was simulated" in result
    assert not [word for word in (" a second", "compile", "wrote") if word in result + progress]
