"""The figure of the variants: what it counts, and what is on its axes."""

import numpy as np
import pandas as pd
import pytest

import brian_snn
from brian_snn.analysis.operations import snn_operations
from brian_snn.frontends.table import reference_activations
from brian_snn.plotting.style import INK
from brian_snn.plotting.variants import plot_variants
from brian_snn.running.simulate import simulate
from brian_snn.settings import Execution, Settings
from brian_snn.studies import variants
from tests import models

CURVES = (("plain", "plain neurons", 0), ("leak", "slow", 5), ("leak", "fast", 8), ("output", "other", 1))
ONE_OF_A_KIND = list({variant.kind: variant for variant in variants.VARIANTS}.values())


@pytest.fixture(scope="module")
def classifier(cnn_model):
    images = models.images_for(cnn_model, 5).astype(float)
    network = brian_snn.convert(cnn_model, images)
    return network, images, np.arange(5) % 3, reference_activations(cnn_model, network, images)


@pytest.mark.parametrize("variant", ONE_OF_A_KIND, ids=lambda variant: variant.kind)
def test_a_variant_is_counted_as_its_own_run_says(classifier, variant):
    network, images, labels, activations = classifier
    settings = Settings(12, backend="runtime")
    tables = variants.error_curve(*classifier, variant, settings, Execution(shard_size=2), n_checkpoints=3)
    curve, (end,), report = tables[0], tables[1].to_dict("records"), tables[2]
    whole = simulate(network, images, Settings(12, backend="runtime", **variant.changes))
    assert curve["steps"].tolist() == [1, 3, 12]
    assert curve["wrong"].iloc[-1] == end["wrong"] == np.sum(whole.predictions != labels)
    assert end["operations"] == snn_operations(whole).mean()
    assert end["paper_operations"] == snn_operations(whole, "paper").mean() == whole.synaptic_events.sum() / 5
    off = whole.spike_counts["conv_c"] / 12 - activations["conv_c"] / network["conv_c"].scale
    assert end["rmse"] == pytest.approx(np.sqrt(np.mean(off**2)), rel=1e-12)
    assert report["holds"].all()


def test_a_panel_per_kind_each_with_the_plain_neuron():
    rows = [
        {"kind": kind, "label": label, "steps": steps, "wrong": wrong, "images": 50}
        for kind, label, last in CURVES
        for steps, wrong in ((1, 20), (10, last))
    ]
    figure = plot_variants(pd.DataFrame(rows))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["(a)  leak", "(b)  output"]
    for axes in figure.axes:
        (plain,) = (line for line in axes.lines if line.get_color() == INK)
        # No error is drawn as half an image.
        assert list(plain.get_ydata()) == [40, 1]
        assert plain.get_label() == "plain neurons: 0.00 %"
    shown = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].lines if line.get_color() != INK}
    assert shown == {"slow: 10.00 %": [40, 10], "fast: 16.00 %": [40, 16]}
