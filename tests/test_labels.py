"""Labels travel with a result, in memory and on disk, and its accuracy is theirs: counted by a loop."""

import math

import numpy as np
import pytest

from brian_snn import load_result, simulate, stream
from brian_snn.datasets import load_images
from brian_snn.errors import DataError
from brian_snn.results.pieces import choose_images
from tests.simulation_cases import tiny
from tests.small_network import small_images, small_network

OPTIONS = {"steps": 12, "backend": "runtime", "shard_size": 2}
IMAGES = small_images(5)
LABELS = np.array([0, 3, 1, 1, 2])


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def result(network):
    return simulate(network, IMAGES, labels=LABELS, **OPTIONS)


def test_labels_travel_with_the_result(network, result, tmp_path):
    on_disk = simulate(network, IMAGES, labels=np.eye(4)[LABELS], output=tmp_path / "run", **OPTIONS)
    result.save(tmp_path / "saved")
    for found in (result, on_disk, load_result(tmp_path / "run"), load_result(tmp_path / "saved")):
        assert found.labels.tolist() == LABELS.tolist()
        assert "labels" in repr(found) and "labels" in found._repr_html_()
    parts = list(stream(network, IMAGES, labels=LABELS, **OPTIONS))
    for pieces in (on_disk.parts(), parts):
        assert [piece.labels.tolist() for piece in pieces] == [[0, 3], [1, 1], [2]]
    assert choose_images(on_disk, [1, 4]).labels.tolist() == [3, 2]


def test_the_accuracy_is_counted_with_its_interval(result, tmp_path):
    right, n = sum(map(int.__eq__, result.predictions.tolist(), LABELS.tolist())), len(LABELS)
    found = result.accuracy
    assert (float(found), found.n) == (right / n, n)
    # Both ends solve (p - x)^2 = z^2 x (1 - x) / n, which is how Wilson defines them.
    for end in (found.low, found.high):
        assert math.isclose((right / n - end) ** 2, 1.959963984540054**2 * end * (1 - end) / n, abs_tol=1e-12)
    assert repr(found) == f"{found}, n = 5" and "%" in repr(found)


def test_labels_that_a_folder_lacks_are_added_without_a_simulation(network, tmp_path):
    before = simulate(network, IMAGES, output=tmp_path / "run", **OPTIONS)
    assert before.labels is None
    with pytest.raises(DataError, match="no labels; simulate with labels="):
        before.accuracy  # noqa: B018
    again = simulate(network, IMAGES, labels=LABELS, output=tmp_path / "run", progress=pytest.fail, **OPTIONS)
    assert again.accuracy.n == 5
    # Whoever goes on without labels keeps them.
    assert simulate(network, IMAGES, output=tmp_path / "run", **OPTIONS).labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (LABELS[:-1], "5 images but labels of shape"),
        (LABELS + 1, "classes are 0 to 3"),
        (LABELS + 0.5, "whole numbers"),
    ],
)
def test_labels_that_do_not_fit_are_refused_before_anything_runs(network, tmp_path, labels, words):
    with pytest.raises(DataError, match=words):
        simulate(network, IMAGES, labels=labels, output=tmp_path / "run", **OPTIONS)
    assert not (tmp_path / "run").exists()


def test_a_number_has_no_label():
    with pytest.raises(DataError, match="stands for numbers, not for classes"):
        simulate(tiny(), np.ones((2, 1)), labels=[0, 1], **OPTIONS)
    with pytest.raises(DataError, match="stands for numbers, not for classes"):
        simulate(tiny(), np.ones((2, 1)), **OPTIONS).accuracy  # noqa: B018


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(b"no array"), "labels.npy is damaged"),
        (lambda path: np.save(path, np.array([{}] * 5)), "labels.npy"),
        (lambda path: np.save(path, LABELS / 2), "type float64"),
        (lambda path: np.save(path, LABELS + 9), "classes are 0 to 3"),
    ],
)
def test_labels_on_disk_that_are_none_are_an_error_with_their_name(result, tmp_path, spoil, words):
    result.save(tmp_path / "run")
    spoil(tmp_path / "run" / "labels.npy")
    with pytest.raises(DataError, match=words):
        load_result(tmp_path / "run")


@pytest.mark.parametrize("labels", [None, [1, 0]])
def test_folder_of_a_simulation_gives_its_images_and_labels(tmp_path, labels):
    np.save(tmp_path / "images.npy", np.arange(8.0).reshape(2, 2, 2))
    if labels is not None:
        np.save(tmp_path / "labels.npy", np.array(labels))
    found = load_images(tmp_path, (2, 2))
    assert found.images.tolist() == np.arange(8.0).reshape(2, 2, 2).tolist()
    assert (found.labels if labels is None else found.labels.tolist()) == labels
