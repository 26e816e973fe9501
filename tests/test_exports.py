"""A result in other libraries: every number is that of plain loops over the small network's own loop."""

from dataclasses import replace
from datetime import UTC, datetime

import neo
import numpy as np
import pytest

from brian_snn.errors import DataError, SettingError
from tests.small_network import STEPS, loop_result, small_images, small_network

IMAGES = small_images(3)
DT_MS = 1.0


@pytest.fixture(scope="module")
def result():
    found = loop_result(small_network(), IMAGES)
    return replace(found, labels=np.array([0, 3, 1]), first_image=10)


def spikes(result, name, image, neuron):
    """Return the steps of the spikes of one neuron, one row after the other."""
    return [step for i, step, n in result.spike_trains[name].tolist() if (i, n) == (image, neuron)]


class TestDataFrame:
    def test_a_row_per_image_and_population(self, result):
        table = result.to_dataframe()
        events = 0
        for row in table.itertuples():
            image, population = row.image - 10, result.network[row.population]
            n_spikes = int(result.spike_counts[row.population][image].sum())
            assert (row.spikes, row.neurons) == (n_spikes, population.size)
            assert row.rate_hz == pytest.approx(n_spikes / population.size / (STEPS * DT_MS / 1e3), rel=1e-12)
            assert (row.label, row.correct) == (result.labels[image], row.prediction == row.label)
            assert row.prediction == result.predictions[image]
            events += row.synaptic_events
        assert len(table) == 3 * len(result.network.populations)
        assert events == result.synaptic_events.sum()

    def test_a_row_per_image(self, result):
        table = result.to_dataframe("image")
        assert table["image"].tolist() == [10, 11, 12]
        assert table["synaptic_events"].tolist() == result.synaptic_events.tolist()
        assert table["correct"].mean() == float(result.accuracy)

    def test_a_row_per_neuron(self, result):
        table = result.to_dataframe(per="neuron")
        assert len(table) == 3 * sum(p.size for p in result.network.populations)
        of_conv = table[table["population"] == "conv"].set_index(["image", "neuron"])
        for image, neuron in ((10, 0), (11, 7), (12, 59)):
            row, place = of_conv.loc[(image, neuron)], np.unravel_index(neuron, (5, 4, 3))
            assert row["spikes"] == result.spike_counts["conv"][(image - 10, *place)]
            assert row["potential"] == result.potentials["conv"][(image - 10, *place)]
            assert row["rate_hz"] == pytest.approx(row["spikes"] / (STEPS * DT_MS / 1e3), rel=1e-12)

    def test_what_has_no_labels_has_no_column_of_them(self, result):
        assert "label" not in replace(result, labels=None).to_dataframe("image")
        with pytest.raises(SettingError, match="per is 'layer'; it must be one of image, population, neuron"):
            result.to_dataframe("layer")


class TestXarray:
    def test_sums_over_populations(self, result):
        dataset = result.to_xarray()
        assert dataset["spikes"].sel(image=11, population="conv") == result.spike_counts["conv"][1].sum()
        step = int(result.checkpoints[1])
        early = [row for row in result.spike_trains["conv"].tolist() if row[0] == 2 and row[1] <= step]
        assert dataset["spikes_until"].sel(step=step, image=12, population="conv") == len(early)
        assert dataset["label"].sel(image=11) == 3

    def test_neurons_of_a_population(self, result):
        dataset = result.to_xarray("conv")
        assert dict(dataset.sizes) == {"image": 3, "y": 5, "x": 4, "channel": 3, "step": len(result.checkpoints)}
        one = dataset.sel(image=12).isel(y=4, x=1, channel=2)
        assert one["spikes"] == result.spike_counts["conv"][2, 4, 1, 2]
        assert one["potential"] == result.potentials["conv"][2, 4, 1, 2]
        assert one["rate"].attrs["units"] == "Hz"
        assert result.to_xarray("mixed")["spikes"].dims == ("image", "neuron")


class TestNeo:
    def test_every_train_is_that_of_its_neuron(self, result):
        block = result.to_neo(["conv", "mixed"])
        assert [segment.index for segment in block.segments] == [10, 11, 12]
        assert [segment.annotations["label"] for segment in block.segments] == [0, 3, 1]
        n_spikes = 0
        for segment in block.segments:
            assert len(segment.spiketrains) == 60 + 24
            for train in segment.spiketrains:
                of = train.annotations
                expected = spikes(result, of["population"], of["image"] - 10, of["neuron"])
                assert train.rescale("ms").magnitude.tolist() == [step * DT_MS for step in expected]
                assert (train.t_start, train.t_stop) == (0, STEPS * DT_MS * train.units)
                shape = result.network[of["population"]].shape
                assert np.ravel_multi_index(of["position"], shape) == of["neuron"]
                n_spikes += len(train)
        assert n_spikes == sum(len(result.spike_trains[name]) for name in ("conv", "mixed"))

    def test_some_images_of_some_populations(self, result):
        (segment,) = result.to_neo(["pool"], images=[2]).segments
        assert (segment.name, {t.annotations["population"] for t in segment.spiketrains}) == ("image 12", {"pool"})
        with pytest.raises(DataError, match="there is no image 3; the result has 3"):
            result.to_neo(images=[3])

    def test_elephant_measures_our_rates(self, result):
        from elephant.statistics import mean_firing_rate

        trains = result.to_neo(["conv"], images=[1]).segments[0].spiketrains
        rates = [mean_firing_rate(train).rescale("Hz").item() for train in trains]
        assert np.allclose(rates, np.asarray(result.rates("conv"))[1].ravel(), rtol=1e-12)

    def test_nwb_keeps_every_spike(self, result, tmp_path):
        block = result.to_neo(["conv"])
        block.annotate(session_start_time=datetime(2020, 1, 1, tzinfo=UTC))
        neo.NWBIO(str(tmp_path / "run.nwb"), "w").write_block(block)
        again = neo.NWBIO(str(tmp_path / "run.nwb"), "r").read_block()
        for before, after in zip(block.segments, again.segments, strict=True):
            assert after.name == before.name
            trains = {train.name: train for train in after.spiketrains}
            assert len(trains) == len(before.spiketrains)
            for train in before.spiketrains:
                assert trains[train.name].tolist() == train.rescale("s").tolist()

    def test_what_was_not_recorded_is_named_with_the_remedy(self, result):
        with pytest.raises(DataError, match=r"no spike trains were recorded; simulate with record_spikes=.*'conv'"):
            replace(result, spike_trains={}).to_neo()
        some = replace(result, spike_trains={"conv": result.spike_trains["conv"]})
        with pytest.raises(DataError, match=r"'pool' were not recorded; simulate with record_spikes=\['pool'\]"):
            some.to_neo(["conv", "pool"])
