"""``brian-snn bench``: how long a simulation takes here, in every way to run it, and that none changes a spike.

Every way is called once uncounted, which compiles and warms up. The rounds that count go through all ways in turn, so
that a machine that is slow for a while is so for all of them.
"""

from __future__ import annotations

import hashlib
import itertools
import platform
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pandas as pd
from rich.console import Console
from rich.text import Text

from brian_snn import load_network
from brian_snn.arrays import FloatArray
from brian_snn.checks import whole_number
from brian_snn.cli.console import Stages, new_console, table
from brian_snn.cli.options import FAILED
from brian_snn.conversion.convert import convert
from brian_snn.datasets import first_images, load_demo, load_images
from brian_snn.errors import SettingError
from brian_snn.escaping import csv_safe, shown
from brian_snn.files import check_target, staged_file
from brian_snn.network.network import Network
from brian_snn.network.output import answer_of
from brian_snn.network.records import INPUT
from brian_snn.network.synapses import n_synapses
from brian_snn.processors import usable_processors
from brian_snn.running.simulate import simulate
from brian_snn.setting_options import settings_from, settings_options
from brian_snn.settings import FloatType, ProjectionMode, Recording, Settings
from brian_snn.simulation.job import cut, make_job, run_inputs

#: Networks of more synapses are timed with shared kernels only: explicit ones would take more than half a gigabyte.
EXPLICIT_LIMIT = 10_000_000


class Way(NamedTuple):
    """One way to simulate."""

    projection: ProjectionMode
    float_type: FloatType
    workers: int
    threads: int

    def __str__(self) -> str:
        """Return its name among the others."""
        return f"{self.projection}, {self.float_type}, workers {self.workers}, threads {self.threads}"


def run(arguments: Namespace) -> int:
    """Measure, show and write the table, and return 1 if spike counts differ."""
    console, settings = new_console(), settings_from(arguments)
    rounds = whole_number("--rounds", arguments.rounds, 1)
    crews = [
        sorted({whole_number(f"--{name}", number, 1) for number in getattr(arguments, name)})
        for name in ("workers", "threads")
    ]
    if arguments.output is not None:
        check_target(arguments.output, "file", arguments.force)
    name, network, images = _workload(console, arguments)
    # With Poisson input the pixels are neurons, and have synapses.
    network = make_job(network, settings, Recording()).network
    ways = _ways(console, network, images, settings, *crews)
    calls = _measure(console, network, images, settings, ways, rounds)
    frame = _table(calls, len(images))
    facts = _facts(name, network, len(images)) | {
        "events_per_image": calls["events"][0] / len(images),
        "settings": " ".join(settings_options(settings)),
        "steps": settings.steps,
        "rounds": rounds,
    }
    console.print("", _said(facts), "", table(_shown(frame), ("projection", "type")), "", _verdict(frame), sep="\n")
    if arguments.output is not None:
        with staged_file(arguments.output) as path:
            csv_safe(frame.assign(**facts), own=("settings",)).to_csv(path, index=False)
        console.print(f"wrote {arguments.output}")
    return 0 if frame["same_counts"].all() else FAILED


def _workload(console: Console, arguments: Namespace) -> tuple[str, Network, FloatArray]:
    """Load the network and its images, by default those of the demo."""
    if arguments.network is None:
        model_path, data, calibration = load_demo()
        with Stages() as stages, stages.stage("convert the network of the demo"):
            name, network = model_path.name, convert(model_path, calibration.images)
    elif arguments.data is None:
        raise SettingError(f"{arguments.network}: there are no images to show to it; name some with --data.")
    else:
        name, network = shown(arguments.network.name), load_network(arguments.network)
    if arguments.data is not None:
        data = load_images(arguments.data, network.input_shape, answer=answer_of(network), inputs=network.inputs)
    if arguments.any_range:
        # What is not known is not compared.
        network = replace(network, calibration_range=None)
    return name, network, first_images(data, arguments.images).images


def _ways(
    console: Console,
    network: Network,
    images: FloatArray,
    settings: Settings,
    workers: Sequence[int],
    threads: Sequence[int],
) -> list[Way]:
    """Return every way to simulate that the network allows, and say what is left out and why."""
    projections: tuple[ProjectionMode, ...] = ("synapses", "shared")
    float_types: tuple[FloatType, ...] = get_args(FloatType)
    if (n_explicit := _synapses(network)) > EXPLICIT_LIMIT:
        console.print(f"no rows for explicit synapses: the network has {n_explicit:,}, more than {EXPLICIT_LIMIT:,}")
        projections = ("shared",)
    try:
        # Refuses float32, before anything is compiled, unless it is exact for all images.
        job = make_job(network, replace(settings, float_type="float32"), Recording())
        for shard in cut(job, len(images), workers=1):
            run_inputs(job, images[shard.start : shard.stop], shard.start)
    except SettingError as error:
        console.print(f"no rows for float32: {error}")
        float_types = ("float64",)
    return list(itertools.starmap(Way, itertools.product(projections, float_types, workers, threads)))


def _measure(
    console: Console, network: Network, images: FloatArray, settings: Settings, ways: Sequence[Way], rounds: int
) -> pd.DataFrame:
    """Return a row for each call: first the one of every way that does not count, then those of the rounds."""

    def call(way: Way, lap: int, **progress: Any) -> dict[str, Any]:
        result = simulate(network, images, settings, **way._asdict(), **progress)
        counts = hashlib.sha256(b"".join(each.tobytes() for each in result.spike_counts.values())).hexdigest()
        # In s: processes start, take their weights, simulate, and their records are read; None: found in the cache.
        seconds = {"run_s": result.timings_s["run"], "compile_s": result.timings_s.get("compile")}
        events = int(result.synaptic_events.sum())
        return way._asdict() | seconds | {"round": lap, "events": events, "counts": counts}

    calls = []
    with Stages() as stages:
        for way in ways:
            bars = stages.simulation(str(way), len(images))
            calls.append(call(way, 0, **bars.callbacks))
            bars.finish({"run": calls[-1]["run_s"], "compile": calls[-1]["compile_s"] or 0.0})
    seconds = rounds * sum(first["run_s"] for first in calls)
    # The thread that draws a progress bar would take its share of the cores that are measured.
    console.print(f"measuring {rounds} round(s) in silence, for some {seconds:.1f} s")
    return pd.DataFrame([*calls, *(call(way, lap) for lap in range(1, rounds + 1) for way in ways)])


def _table(calls: pd.DataFrame, n_images: int) -> pd.DataFrame:
    """Return a row for every way, of whose calls the first one is not timed."""
    ways = list(Way._fields)
    first = calls[calls["round"] == 0].set_index(ways)
    ms = (calls["run_s"] / n_images * 1e3).where(calls["round"] > 0).groupby([calls[way] for way in ways], sort=False)
    events = first["events"] / n_images
    frame = pd.DataFrame({"compile_s": first["compile_s"], "ms_per_image": ms.median()})
    frame["ms_min"], frame["ms_max"] = ms.min(), ms.max()
    frame["images_per_s"] = 1e3 / frame["ms_per_image"]
    frame["ns_per_event"] = frame["ms_per_image"] * 1e6 / events.where(events > 0)
    same = calls["counts"] == calls["counts"][0]
    frame["same_counts"] = same.groupby([calls[way] for way in ways], sort=False).all()
    return frame.reset_index()


def _synapses(network: Network) -> int:
    """Return the number of synapses between neurons."""
    return sum(n_synapses(network, p) for p in network.projections if p.source != INPUT)


def _facts(name: str, network: Network, n_images: int) -> dict[str, Any]:
    """Return what was measured and where; the same for all rows."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "network": name,
        "neurons": sum(population.size for population in network.populations),
        "synapses": _synapses(network),
        "images": n_images,
        "processor": names[0] if names else platform.machine(),
        "cores": usable_processors(),
    }


def _said(facts: Mapping[str, Any]) -> str:
    """Return the facts as two lines."""
    return (
        "{network}: {neurons:,} neurons, {synapses:,} synapses, {events_per_image:,.0f} synaptic events per image\n"
        "{images:,} images of {steps:,} steps, {rounds} round(s), on {processor} with {cores} cores".format(**facts)
    )


def _shown(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return the rows as they are shown."""
    return [
        {
            "projection": row["projection"],
            "type": row["float_type"],
            "workers": row["workers"],
            "threads": row["threads"],
            "compile": "in cache" if pd.isna(row["compile_s"]) else f"{row['compile_s']:.1f} s",
            "ms per image": f"{row['ms_per_image']:,.2f}",
            "min to max": f"{row['ms_min']:,.2f} to {row['ms_max']:,.2f}",
            "images/s": f"{row['images_per_s']:,.1f}",
            "ns per event": "-" if pd.isna(row["ns_per_event"]) else f"{row['ns_per_event']:,.2f}",
            "counts": "same" if row["same_counts"] else Text("DIFFER", style="bold red"),
        }
        for _, row in frame.iterrows()
    ]


def _verdict(frame: pd.DataFrame) -> Text:
    """Return one line: green if no way changes a spike, red with those that do."""
    if frame["same_counts"].all():
        return Text("spike counts are the same in all rows, bit for bit", style="bold green")
    rows = frame.loc[~frame["same_counts"], list(Way._fields)]
    differ = "; ".join(str(Way(*row)) for row in rows.itertuples(index=False))
    return Text(f"SPIKE COUNTS DIFFER from those of the first call: {differ}", style="bold red")
