"""``brian-snn bench``: what a simulation costs on this machine, in every way to run it."""

from __future__ import annotations

import platform
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from brian_snn import load_network
from brian_snn.checks import whole_number
from brian_snn.cli.console import Stages, new_console, table
from brian_snn.cli.options import FAILED
from brian_snn.cli.timing import Call, Configuration, Workload, configurations, measure
from brian_snn.conversion.convert import convert
from brian_snn.datasets import first_images, load_demo, load_images
from brian_snn.errors import SettingError
from brian_snn.escaping import csv_safe, shown
from brian_snn.files import check_target, staged_file
from brian_snn.network.output import answer_of
from brian_snn.network.records import INPUT
from brian_snn.network.synapses import n_synapses
from brian_snn.processors import usable_processors
from brian_snn.setting_options import settings_from, settings_options
from brian_snn.settings import Recording, Settings
from brian_snn.simulation.job import make_job

Row = Mapping[str, object]


def run(arguments: Namespace) -> int:
    """Measure, show and write the table, and return 1 if spike counts differ."""
    console, settings = new_console(), settings_from(arguments)
    rounds = whole_number("--rounds", arguments.rounds, 1)
    workers = sorted({whole_number("--workers", number, 1) for number in arguments.workers})
    if arguments.output is not None:
        check_target(arguments.output, "file", arguments.force)
    workload = _workload(console, arguments, settings)
    calls = measure(console, workload, list(configurations(console, workload, workers)), rounds)
    first = next(iter(calls.values()))[0]
    frame = pd.DataFrame([_row(way, of_way, first, len(workload.images)) for way, of_way in calls.items()])
    facts = _facts(workload, first, rounds)
    console.print("", _measured(facts), "", table(_shown(frame), ("projection", "type")), "", sep="\n")
    console.print(_verdict(frame))
    if arguments.output is not None:
        with staged_file(arguments.output) as path:
            csv_safe(frame.assign(**facts), own=("settings",)).to_csv(path, index=False)
        console.print(f"wrote {arguments.output}")
    return 0 if frame["same_counts"].all() else FAILED


def _workload(console: Console, arguments: Namespace, settings: Settings) -> Workload:
    """Load the network and its images, by default those of the demo."""
    if arguments.network is None:
        model_path, data, calibration = load_demo()
        with Stages(console) as stages, stages.stage("convert the network of the demo"):
            name, network = model_path.name, convert(model_path, calibration.images)
    elif arguments.data is None:
        raise SettingError(f"{arguments.network}: there are no images to show to it; name some with --data.")
    else:
        name, network = shown(arguments.network.name), load_network(arguments.network)
    if arguments.data is not None:
        data = load_images(arguments.data, network.input_shape, answer=answer_of(network))
    if arguments.any_range:
        # What is not known is not compared.
        network = replace(network, calibration_range=None)
    # With Poisson input the pixels are neurons, and have synapses.
    network = make_job(network, settings, Recording()).network
    return Workload(name, network, first_images(data, arguments.images).images, settings)


def _row(way: Configuration, calls: Sequence[Call], reference: Call, n_images: int) -> Row:
    """Return the row of a configuration, of whose calls the first one is not timed."""
    times_ms = [call.run_s / n_images * 1e3 for call in calls[1:]]
    ms, events = median(times_ms), calls[0].events / n_images
    return {
        "projection": way.projection,
        "float_type": way.float_type,
        "workers": way.workers,
        "compile_s": calls[0].compile_s,
        "ms_per_image": ms,
        "ms_min": min(times_ms),
        "ms_max": max(times_ms),
        "images_per_s": 1e3 / ms,
        "ns_per_event": ms * 1e6 / events if events else None,
        "peak_mb": calls[0].peak_mb,
        "same_counts": all(call.counts_sha256 == reference.counts_sha256 for call in calls),
    }


def _facts(workload: Workload, call: Call, rounds: int) -> dict[str, Any]:
    """Return what was measured and where; the same for all rows."""
    network, n_images = workload.network, len(workload.images)
    return {
        "network": workload.name,
        "neurons": sum(population.size for population in network.populations),
        "synapses": sum(n_synapses(network, p) for p in network.projections if p.source != INPUT),
        "images": n_images,
        "steps": workload.settings.steps,
        "events_per_image": call.events / n_images,
        "settings": " ".join(settings_options(workload.settings)),
        "rounds": rounds,
        "processor": _processor(),
        "cores": usable_processors(),
    }


def _processor() -> str:
    """Return the name of the processor, as far as the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _measured(facts: Mapping[str, Any]) -> str:
    """Return the facts as two lines."""
    return (
        "{network}: {neurons:,} neurons, {synapses:,} synapses, {events_per_image:,.0f} synaptic events per image\n"
        "{images:,} images of {steps:,} steps, {rounds} round(s), on {processor} with {cores} cores".format(**facts)
    )


def _shown(frame: pd.DataFrame) -> list[Row]:
    """Return the rows as they are shown."""
    return [
        {
            "projection": row["projection"],
            "type": row["float_type"],
            "workers": row["workers"],
            "compile": _number(row["compile_s"], "{:.1f} s", "in cache"),
            "ms per image": f"{row['ms_per_image']:,.2f}",
            "min to max": f"{row['ms_min']:,.2f} to {row['ms_max']:,.2f}",
            "images/s": f"{row['images_per_s']:,.1f}",
            "ns per event": _number(row["ns_per_event"], "{:,.2f}"),
            "peak MB": _number(row["peak_mb"], "{:,.0f}"),
            "counts": "same" if row["same_counts"] else Text("DIFFER", style="bold red"),
        }
        for _, row in frame.iterrows()
    ]


def _number(value: float | None, form: str, missing: str = "-") -> str:
    """Return a number in a form, or what stands for none."""
    return missing if pd.isna(value) else form.format(value)


def _verdict(frame: pd.DataFrame) -> Text:
    """Return one line: green if no way changes a spike, red with those that do."""
    if frame["same_counts"].all():
        return Text("spike counts are the same in all rows, bit for bit", style="bold green")
    rows = frame.loc[~frame["same_counts"], ["projection", "float_type", "workers"]]
    differ = "; ".join(str(Configuration(*row)) for row in rows.itertuples(index=False))
    return Text(f"SPIKE COUNTS DIFFER from those of the first call: {differ}", style="bold red")
