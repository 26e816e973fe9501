"""The report of a run: what is on the page against the library and plain loops, and that it needs nothing else."""

from __future__ import annotations

import base64
import re
import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import brian_snn
from brian_snn.__main__ import main
from brian_snn.analysis.ann import compare_with_ann
from brian_snn.analysis.bounds import bounds
from brian_snn.analysis.error import error_account, error_origins
from brian_snn.analysis.operations import ann_operations, operations_by_population
from brian_snn.analysis.summary import population_rows
from brian_snn.errors import DataError
from brian_snn.network.forward import forward
from brian_snn.report import explained, gather, measured, provenance
from brian_snn.report import page as page_module
from brian_snn.results.pieces import choose_images
from tests.error_cases import wild_network
from tests.error_oracle import dense_activations
from tests.oracles import wilson_by_roots
from tests.report_reading import HtmlPage, prose, table_of, texts, values
from tests.small_network import loop_result, small_images

#: A name that is markup, and mathematics that does not parse.
NAME = "<b>bold</b> & $\\frac$"
LABELS = np.array([2, 0, 2, 1, 3, 2])


def renamed(network):
    """Return the network with another name for its first layer."""
    names = {"conv": NAME}
    populations = tuple(replace(p, name=names.get(p.name, p.name)) for p in network.populations)
    projections = tuple(
        replace(p, source=names.get(p.source, p.source), target=names.get(p.target, p.target))
        for p in network.projections
    )
    return replace(network, populations=populations, projections=projections)


def report(folder, page, *options):
    """Write a report and take it apart."""
    assert main(["report", str(folder), "-o", str(page), *map(str, options)]) == 0
    return HtmlPage(page.read_text("utf-8"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a run with everything recorded, and labels."""
    folder = tmp_path_factory.mktemp("report") / "run"
    network = renamed(wild_network())
    recorded = {"record_spikes": [p.name for p in network.populations if p.name != "out"], "checkpoints": (5, 12, 30)}
    recorded["record_counts"] = [network.populations[0].name]
    brian_snn.simulate(network, small_images(6), steps=30, clamp=2, backend="runtime", **recorded).save(folder)
    np.save(folder / "labels.npy", LABELS)
    return folder


@pytest.fixture(scope="module")
def result(run):
    return brian_snn.load_result(run)


@pytest.fixture(scope="module")
def activations(result):
    """Return the activations by dense matrices."""
    return dense_activations(result.network, result.images)


@pytest.fixture(scope="module")
def source(run):
    """Return the HTML of the run's report."""
    page = run.parent / "page.html"
    report(run, page)
    return page.read_text("utf-8")


@pytest.fixture(scope="module")
def page(source):
    return HtmlPage(source)


class TestSelfContained:
    def test_nothing_is_loaded_from_elsewhere(self, source, page):
        anchors = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
        for tag, attributes in page.tags:
            assert tag not in ("script", "link", "iframe", "object", "base", "source", "form")
            assert not set(attributes) & {"srcset", "background", "action", "poster"}
            if "src" in attributes:
                assert attributes["src"].startswith("data:image/png;base64,")
            if "href" in attributes:
                assert attributes["href"][0] == "#" and attributes["href"][1:] in anchors
        assert not re.search(r"url\(|@import|https?:", source)

    def test_the_browser_is_told_to_load_nothing(self, page):
        policies = [a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv")]
        assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]

    def test_pictures_are_there_and_described(self, page):
        pictures = [attributes for tag, attributes in page.tags if tag == "img"]
        # Error over steps and operations, correlation, account, raster.
        assert len(pictures) == 4
        for attributes in pictures:
            assert base64.b64decode(attributes["src"].partition(",")[2])[:8] == b"\x89PNG\r\n\x1a\n"
            assert attributes["alt"]

    def test_markup_in_a_name_is_text(self, source, page):
        assert "<b>" not in source
        assert not [tag for tag, _ in page.tags if tag == "b"]
        assert table(page, "By layer").column("population")[0] == NAME


def table(page, beginning):
    """Return the table whose label begins so."""
    (label,) = [label for label in page.tables if label.startswith(beginning)]
    return page.tables[label]


def shown_interval(n_right, n):
    """Return Wilson's interval as the page shows it."""
    low, high = wilson_by_roots(n_right, n)
    return f"{100 * low:.2f} to {100 * high:.2f} %"


def own_activations(result):
    """Return the activations of the network without spikes."""
    return {name: array * result.network[name].scale for name, array in forward(result.network, result.images).items()}


class TestNumbers:
    @pytest.mark.parametrize("beginning", ["By layer", "Rates against", "The account", "The origins", "Bounds and"])
    def test_a_table_is_the_library_s(self, page, result, activations, beginning):
        own = own_activations(result)
        # What the library is given here is what other code computes.
        for name, array in own.items():
            np.testing.assert_allclose(array, activations[name], rtol=1e-12, atol=1e-12)
        expected = {
            "By layer": lambda: operations_by_population(result),
            "Rates against": lambda: compare_with_ann(result, own),
            "The account": lambda: error_account(result, own),
            "The origins": lambda: error_origins(result, own),
            "Bounds and": lambda: bounds(result, own),
        }[beginning]()
        shown = table(page, beginning)
        headings = {column.replace("_", " ").replace(" hz", " (Hz)"): column for column in expected}
        assert len(shown.texts) == len(expected)
        assert len(shown.columns) >= 6
        for heading in shown.columns:
            column = expected[headings[heading]]
            if column.dtype == bool:
                column = column.map({True: "yes", False: "no"})
            np.testing.assert_array_equal(shown.column(heading), column.tolist())

    def test_layers(self, page, result):
        expected = [[str(cell) for cell in row.values()] for row in population_rows(result.network)]
        assert table(page, "Layers").texts == expected

    def test_residuals(self, page, result):
        shown = table(page, "Largest residual")
        for _, row in brian_snn.verify(result).iterrows():
            k = shown.column("layer").index(row["population"])
            value = shown.values[k][shown.columns.index(row["equation"])]
            assert value == (row["max_residual_charge"] if row["applicable"] else None)
        assert "verified: books of all 6 images, dynamics of 6 of 6" in page.paragraphs()
        assert "S11 does not apply to average, mixed, out: its input comes from spikes" in page.paragraphs()

    def test_confusions(self, page, result):
        shown = table(page, "Confusion matrix")
        counts = np.array([row[1:] for row in shown.values])
        classes = [int(name) for name in shown.columns[1:]]
        expected = np.zeros_like(counts)
        for label, prediction in zip(LABELS, result.predictions, strict=True):
            expected[classes.index(label), classes.index(prediction)] += 1
        assert counts.sum() == 6
        np.testing.assert_array_equal(counts, expected)

    def test_accuracy(self, page, result, activations):
        shown = table(page, "Classes that")
        answers = [result.predictions, activations["out"].argmax(axis=1)]
        assert shown.column("accuracy") == [np.mean(answer == LABELS) for answer in answers]
        assert [row[-1] for row in shown.values] == [None, np.mean(answers[0] == answers[1])]
        intervals = [shown_interval(np.sum(answer == LABELS), 6) for answer in answers]
        assert [row[shown.columns.index("95 % interval")] for row in shown.texts] == intervals
        head = dict(zip(page.text["dt"], page.text["dd"], strict=True))
        for name, given in zip(("the spiking network", "the trained network"), answers, strict=True):
            n_right = int(np.sum(given == LABELS))
            what = f"accuracy of {name}; 95 % interval {shown_interval(n_right, 6)}"
            assert head[what] == f"{100 * n_right / 6:.2f} %"
        assert head["images"] == "6"
        assert head["largest residual charge"] == "0"

    def test_the_largest_cause_and_its_knob(self, page, result, activations):
        origins = error_origins(result, activations)
        causes = origins[origins["term"] != "error"]
        shown = table(page, "The largest cause")
        for population, share, cause in zip(*map(shown.column, ("layer", "share", "largest cause")), strict=True):
            largest = causes[causes["population"] == population].sort_values("share").iloc[-1]
            assert (cause, share) == (largest["term"], pytest.approx(largest["share"], rel=1e-9))

    def test_settings_and_hashes(self, page, result):
        settings = dict(table(page, "Settings of the simulation").texts)
        assert {name: settings[name] for name in ("steps", "clamp", "reset")} == {
            "steps": "30",
            "clamp": "2",
            "reset": "subtraction",
        }
        hashes = table(page, "SHA-256")
        assert hashes.column("from") == ["the run"] * 2
        assert all(re.fullmatch("[0-9a-f]{64}", text) for text in hashes.column("SHA-256"))


class TestReproduce:
    def test_the_command_gives_the_same_run(self, page, result, tmp_path):
        program, *arguments = shlex.split("".join(page.text["pre"]).strip().split("\n")[0])
        assert program == "brian-snn"
        arguments[-1] = str(tmp_path / "again")
        assert main(arguments) == 0
        repeated = brian_snn.load_result(tmp_path / "again")
        assert repeated.settings == result.settings
        for name, counts in loop_result(result.network, small_images(6), clamp=2).spike_counts.items():
            assert (repeated.spike_counts[name] == counts).all()
        assert list(repeated.spike_trains) == list(result.spike_trains)
        for name, train in result.spike_trains.items():
            assert (repeated.spike_trains[name] == train).all()
        np.testing.assert_array_equal(repeated.output_history, result.output_history)
        assert list(repeated.count_history) == list(result.count_history) == [NAME]
        assert np.load(tmp_path / "again" / "labels.npy").tolist() == LABELS.tolist()

    def test_a_streamed_run_keeps_its_hashes_and_versions(self, result, tmp_path):
        brian_snn.simulate(result.network, result.images, steps=5, backend="runtime", output=tmp_path / "run")
        result.save(tmp_path / "saved")
        streamed, saved = (provenance.provenance(gather.gather(tmp_path / name)) for name in ("run", "saved"))
        hashes = [texts(table_of(section, "SHA-256"), 1) for section in (streamed, saved)]
        assert hashes[0] == hashes[1]
        converted, simulated, page = (row[1:] for row in table_of(streamed, "Versions").rows)
        assert simulated[0].text == page[0].text == brian_snn.__version__
        assert simulated[2].text == page[2].text != "not noted"
        assert converted[0].text == "not noted"


def with_result(run, **changes):
    """Return a gathered run whose result has other fields."""
    return replace(run, result=replace(run.result, **changes))


def with_sample(run, **changes):
    """Return a gathered run whose sample has other fields."""
    return replace(run, sample=replace(run.sample, result=replace(run.sample.result, **changes)))


@pytest.fixture(scope="module")
def gathered(run):
    """Return what the report knows of the run."""
    return gather.gather(run)


class TestSample:
    def test_chosen_images_are_those_of_the_whole(self, result):
        parts = tuple(choose_images(result, images) for images in ([0, 1], [2, 3, 4], [5]))
        chosen = choose_images(replace(result, spike_counts={}, pieces=parts), [1, 2, 5])
        for field in ("spike_counts", "potentials", "charge", "surplus", "early_counts"):
            assert list(chosen.by_population(field)) == list(result.by_population(field))
            for key, array in result.by_population(field).items():
                np.testing.assert_array_equal(chosen.by_population(field)[key], array[[1, 2, 5]])
        np.testing.assert_array_equal(chosen.images, result.images[[1, 2, 5]])

    def test_a_large_run_is_compared_whole_and_shown_in_part(self, run, result, monkeypatch):
        n_neurons = sum(population.size for population in result.network.populations)
        monkeypatch.setattr(gather, "_SAMPLE_NUMBERS", 3 * n_neurons)
        sampled = gather.gather(run)
        assert sampled.sample.numbers.tolist() == [0, 2, 5]
        section = explained.rates(sampled)
        assert next(block.caption for block in section.blocks if block.kind == "picture").endswith("3 of 6 images.")
        expected = compare_with_ann(result, own_activations(result))["rmse_hz"]
        assert values(table_of(section, "Rates against"), "rmse (Hz)") == expected.tolist()
        rows = table_of(measured.answers(sampled), "Classes that").rows
        assert rows[0][0].text == "spiking network, all 6 images"
        assert rows[0][1].value == np.mean(result.predictions == LABELS)


@pytest.mark.parametrize("table_of_all", [compare_with_ann, error_account, error_origins])
def test_a_result_in_parts_has_the_table_of_the_whole(result, table_of_all):
    parts = tuple(choose_images(result, images) for images in ([0, 1], [2, 3, 4], [5]))
    pieces = replace(result, spike_counts={}, pieces=parts)
    whole, by_part = table_of_all(result, own_activations(result)), table_of_all(pieces, own_activations)
    pd.testing.assert_frame_equal(by_part, whole, rtol=1e-9, atol=1e-12)


class TestWhatIsMissing:
    def test_without_labels(self, gathered):
        section = measured.answers(replace(gathered, labels=None))
        assert "no labels.npy" in prose(section)
        assert [block.kind for block in section.blocks] == ["table", "text"]
        assert table_of(section, "Classes that").columns == ("network", "same answer as the spiking network")

    def test_bounds_that_are_not_proved_are_refused_with_the_reason(self, gathered):
        settings = replace(gathered.result.settings, schedule="brian2")
        section = explained.certified(with_sample(gathered, settings=settings))
        assert prose(section) == "None: bounds are not proved for schedule 'brian2'; only for 'same_step'."

    def test_bounds_that_would_take_long_are_left_out_with_the_reason(self, gathered, monkeypatch):
        monkeypatch.setattr(explained, "_BOUNDS_OPERATIONS", 10)
        assert prose(explained.certified(gathered)).startswith("Left out: one image takes the network 1,090 multi")

    def test_bounds_of_a_few_images_say_of_how_many(self, gathered, result, monkeypatch):
        monkeypatch.setattr(explained, "_BOUNDS_OPERATIONS", 2 * ann_operations(result.network))
        section = explained.certified(gathered)
        assert "for 2 images" in prose(section)
        expected = bounds(choose_images(result, [0, 1]))["mean_bound"].tolist()
        assert values(table_of(section, "Bounds"), "mean bound") == pytest.approx(expected, rel=1e-12)

    def test_an_account_that_does_not_add_up_says_so(self, gathered, result):
        # As if something else than spikes had taken charge from the membrane.
        potentials = {name: array - 0.25 * (name == "mixed") for name, array in result.potentials.items()}
        section = explained.error(with_result(gathered, potentials=potentials))
        assert "(rms, in mixed) unexplained: the counts, potentials and charges" in prose(section)
        assert [block.kind for block in section.blocks] == ["text", "text", "table"]

    def test_a_run_without_spike_trains_is_simulated_once_more(self, gathered):
        section = explained.raster(with_result(gathered, spike_trains={}))
        assert "Its first image was simulated once more" in prose(section)
        assert [block.kind for block in section.blocks] == ["picture"]

    def test_spikes_of_another_simulation_do_not_stand_for_those_of_the_run(self, gathered, result):
        counts = {name: array + (name == "mixed") for name, array in result.spike_counts.items()}
        section = explained.raster(with_result(gathered, spike_trains={}, spike_counts=counts))
        assert "gave other spike counts" in prose(section)
        assert [block.kind for block in section.blocks] == ["text"]

    def test_a_network_that_is_too_large_is_not_simulated(self, gathered, monkeypatch):
        monkeypatch.setattr(explained, "_RESIMULATED_EVENTS", 1)
        assert "too much to be simulated once more" in prose(explained.raster(with_result(gathered, spike_trains={})))

    def test_many_classes_are_a_list_of_mistakes(self, gathered, result, monkeypatch):
        monkeypatch.setattr(measured, "_MATRIX_CLASSES", 1)
        mistakes = table_of(measured.answers(gathered), "The most frequent mistakes")
        assert sum(values(mistakes, "images")) == np.sum(result.predictions != LABELS)


class TestCommand:
    def test_a_failed_verification_is_on_the_page_and_exits_1(self, result, tmp_path):
        counts = {name: np.array(array) for name, array in result.spike_counts.items()}
        counts["mixed"][3, 2] += 1
        replace(result, spike_counts=counts).save(tmp_path / "run")
        assert main(["report", f"{tmp_path}/run", "-o", f"{tmp_path}/page.html"]) == 1
        page = HtmlPage((tmp_path / "page.html").read_text("utf-8"))
        assert "VERIFICATION FAILED: charge in mixed" in page.paragraphs()
        shown = table(page, "Largest residual")
        assert shown.column("charge")[shown.column("layer").index("mixed")] == 1.0

    def test_an_earlier_page_is_replaced_with_force_only(self, run, tmp_path, capsys, monkeypatch):
        output = tmp_path / "page.html"
        output.write_text("mine")
        monkeypatch.setattr(page_module, "compose", lambda _: None)
        monkeypatch.setattr(page_module, "render", lambda _: "new")
        assert main(["report", f"{run}", "-o", f"{output}"]) == 2
        assert "--force" in capsys.readouterr().err
        assert output.read_text() == "mine"
        assert main(["report", f"{run}", "-o", f"{output}", "--force"]) == 0
        assert output.read_text() == "new"

    @pytest.mark.parametrize(
        ("labels", "words"),
        [(np.zeros(5, int), r"shape \(5,\)"), (np.zeros(6), "type float64"), (None, "is damaged")],
        ids=["too few", "not whole", "damaged"],
    )
    def test_labels_that_do_not_fit_are_refused(self, result, tmp_path, labels, words):
        result.save(tmp_path / "run")
        path = tmp_path / "run" / "labels.npy"
        if labels is None:
            path.write_bytes(b"\x93NUMPY")
        else:
            np.save(path, labels)
        with pytest.raises(DataError, match=words):
            gather.gather(tmp_path / "run")

    def test_a_folder_that_is_no_run(self, tmp_path, capsys):
        assert main(["report", f"{tmp_path}", "-o", f"{tmp_path}/page.html"]) == 2
        assert "is not a result folder" in capsys.readouterr().err
