"""Sections of the report that compare rates with activations: correlation, the account of the error, bounds, raster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from brian_snn.analysis.ann import compare_with_ann
from brian_snn.analysis.bounds import bounds
from brian_snn.analysis.error import error_account, error_origins
from brian_snn.analysis.operations import ann_operations
from brian_snn.errors import BrianSnnError
from brian_snn.plotting.error_account import plot_error_account
from brian_snn.plotting.gallery import correlation_figure, raster_figure
from brian_snn.plotting.style import count_label
from brian_snn.report.blocks import Block, Section, Text, percent, picture, table
from brian_snn.report.gather import Run
from brian_snn.results.pieces import choose_images
from brian_snn.results.result import Result
from brian_snn.running.simulate import stream

# Panels of the correlation figure and of the raster: more would be too small to see.
_PANELS = {"correlation": 12, "raster": 5}

# Bounds cost about ten forward passes, in NumPy: some ten seconds for so many multiply-adds.
_BOUNDS_OPERATIONS = 10**9

# What a simulation in process does in a few seconds: synaptic events, and steps times layers.
_RESIMULATED_EVENTS = 2 * 10**7
_RESIMULATED_UPDATES = 2 * 10**4

# Beside the error, rounding in float64 leaves far less than this unexplained.
_ROUNDING = 1e-6

_ACCOUNT_COLUMNS = ("population", "term", "source", "mean", "mean_abs", "rms", "relative", "share", "knob")


def rates(run: Run) -> Section:
    """Return the section of rates against activations."""
    sample = run.sample
    comparison = compare_with_ann(run.result, run.activations_of)
    names = [p.name for p in run.result.network.populations if p.kind != "readout"]
    blocks: list[Block] = [
        Text(sample.origin),
        table("Rates against activations, by layer, all images", comparison),
    ]
    if names:
        shown = _spread(names, _PANELS["correlation"])
        figure = correlation_figure(sample.result, sample.activations, shown)
        text = (
            f"Measured rates against the rates that stand for the activations: {_layers_shown(shown, names)}, "
            f"{count_label(len(sample.numbers), len(run.result.images), 'images')}."
        )
        blocks.append(picture(figure, text))
    return Section("rates", "Rates and activations", tuple(blocks))


def error(run: Run) -> Section:
    """Return the section that says where the error comes from."""
    title = "Where the error comes from"
    try:
        account = error_account(run.result, run.activations_of)
        origins = error_origins(run.result, run.activations_of)
    except BrianSnnError as reason:
        return Section("error", title, (Text(f"No account: {reason}"),))
    columns = list(_ACCOUNT_COLUMNS)
    text = f"All {len(run.result.images):,} images. The error is rate over r_max minus activation over lambda. "
    whole = table("The account, in units of r_max", account[columns], folded=True)
    if unexplained := _unexplained(account):
        return Section("error", title, (Text(text), unexplained, whole))
    blocks: list[Block] = [
        Text(
            f"{text}The terms of a layer add up to its error; followed back through the weights, each is traced to the "
            "layer where it arose."
        ),
        table(
            "The largest cause of each layer's error, in this layer or before, and what would lower it",
            _causes(origins),
        ),
        picture(
            plot_error_account(account, origins),
            "The error of each layer divided into its terms (a), and into those that it arose from in any layer (b).",
        ),
        whole,
        table("The origins, in units of r_max", origins[[c for c in columns if c in origins]], folded=True),
    ]
    return Section("error", title, tuple(blocks))


def _unexplained(account: pd.DataFrame) -> Text | None:
    """Return a warning if the terms do not add up to the error."""
    rms = account.pivot_table(index="population", columns="term", values="rms", sort=False)
    left = rms["unexplained"][rms["unexplained"] > _ROUNDING * rms["error"]]
    if left.empty:
        return None
    text = (
        f"The terms leave up to {left.max():.3g} r_max (rms, in {left.idxmax()}) unexplained: the counts, potentials "
        "and charges of this result do not belong together."
    )
    return Text(text, warns=True)


def _causes(origins: pd.DataFrame) -> list[dict[str, object]]:
    """Return a row per layer: its error, the term with the largest share of it, and the knob of that term."""
    rows: list[dict[str, object]] = []
    for population, terms in origins.groupby("population", sort=False):
        total = terms[terms["term"] == "error"].iloc[0]
        causes = terms[(terms["term"] != "error") & terms["share"].notna()]
        row = {"layer": population, "rms error / rms activation": percent(total["relative"])}
        if not causes.empty:
            cause = causes.loc[causes["share"].idxmax()]
            row |= {"largest cause": cause["term"], "share": percent(cause["share"]), "what lowers it": cause["knob"]}
        else:
            row |= {"largest cause": "none", "share": percent(np.nan), "what lowers it": ""}
        rows.append(row)
    return rows


def certified(run: Run) -> Section:
    """Return the section of the bounds that are proved without a simulation."""
    title, sample = "Certified bounds", run.sample
    operations = ann_operations(run.result.network)
    n_images = min(len(sample.numbers), _BOUNDS_OPERATIONS // max(1, operations))
    if not n_images:
        text = (
            f"Left out: one image takes the network {operations:,} multiply-adds, and bounds some ten times that. "
            "Call brian_snn.analysis.bounds.bounds for them."
        )
        return Section("bounds", title, (Text(text),))
    try:
        # All of the sample, unless it is too much work.
        part = _first(sample.result, n_images)
        proved = bounds(part, {name: values[:n_images] for name, values in sample.activations.items()})
    except BrianSnnError as reason:
        return Section("bounds", title, (Text(f"None: {reason}"),))
    text = (
        f"Proved from the network, the images and the settings alone, for {n_images} images: no rate can be further "
        "from its activation than its bound, whatever the order of the spikes. In units of r_max; tightness is the "
        "largest quotient of error and bound; silent neurons are proved never to spike, of undecided ones nothing is "
        "proved."
    )
    return Section("bounds", title, (Text(text), table("Bounds and measured errors, by layer", proved)))


def raster(run: Run) -> Section:
    """Return the section of the spikes of one image."""
    part = run.result.parts()[0]
    populations = [p.name for p in part.network.populations]
    recorded = [name for name in populations if name in part.spike_trains]
    if recorded:
        shown = _spread(recorded, _PANELS["raster"])
        text = f"Spikes of the run's first image, as they were recorded: {_layers_shown(shown, recorded)}."
        trains = {name: part.spike_trains[name] for name in shown}
        return _raster_section(replace(part, spike_trains=trains), text)
    if part.settings.polarity == "signed":
        text = "Left out: the spikes are signed, and their trains are not recorded."
        return Section("raster", "Spikes of one image", (Text(text),))
    first = _first(part, 1)
    events, updates = int(first.synaptic_events[0]), part.settings.steps * len(populations)
    if events > _RESIMULATED_EVENTS or updates > _RESIMULATED_UPDATES:
        text = (
            f"The run recorded no spike trains, and its first image, with {events:,} synaptic events, is too much to "
            "be simulated once more here. Simulate with record_spikes (--record-spikes)."
        )
        return Section("raster", "Spikes of one image", (Text(text),))
    spiking = [p.name for p in part.network.populations if p.kind != "readout"]
    shown = _spread(spiking, _PANELS["raster"])
    settings = replace(part.settings, backend="runtime")
    again = next(stream(part.network, part.images[:1], settings, record_spikes=shown, any_range=True))
    if any(not np.array_equal(again.spike_counts[name], first.spike_counts[name]) for name in populations):
        text = "Its first image, simulated once more in process, gave other spike counts than the run holds."
        return Section("raster", "Spikes of one image", (Text(text, warns=True),))
    text = (
        "The run recorded no spike trains. Its first image was simulated once more, in process, for this figure; the "
        f"spike counts of all neurons are those of the run. {_layers_shown(shown, spiking)}."
    )
    return _raster_section(again, text)


def _raster_section(result: Result, text: str) -> Section:
    """Return the section with the raster of a result's first image."""
    return Section("raster", "Spikes of one image", (picture(raster_figure(result), text),))


def _first(result: Result, n_images: int) -> Result:
    """Return the counts and potentials of the first images of a result."""
    if n_images >= len(result.images) and not result.pieces:
        return result
    return choose_images(result, range(n_images))


def _spread(names: list[str], limit: int) -> list[str]:
    """Return at most `limit` names, evenly spread from the first to the last."""
    chosen = np.unique(np.linspace(0, len(names) - 1, min(limit, len(names))).round().astype(int))
    return [names[index] for index in chosen]


def _layers_shown(shown: list[str], names: list[str]) -> str:
    """Return how many layers are shown, of how many."""
    return count_label(len(shown), len(names), "layers")
