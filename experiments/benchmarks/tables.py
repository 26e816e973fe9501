"""The tables of the README, from the stored results."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

#: The README holds the tables between these two lines.
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"

#: Where other programs kept more cores than this busy, times say little: PyTorch's threads suffer most.
QUIET = 0.1

#: The yardstick of all ratios.
YARDSTICK = "loop"

#: The additions of weights alone, in float64.
LIMIT = "rows"

#: A start is a difference of two times; one below zero says no more than that.
BELOW_NOISE = "below noise"


def all_tables(race: dict[str, Any], scaling: dict[str, Any] | None) -> str:
    """Return all tables as Markdown."""
    labels = {name: program["label"] for name, program in race["params"]["programs"].items()}
    parts = [measured_on(race)]
    parts += [race_table(name, record, labels) for name, record in race["networks"].items()]
    parts += [own_table(race["networks"], race["params"]["programs"], race["params"]["memory_target"])]
    if scaling:
        parts.append(scaling_table(scaling["sweeps"], labels))
    return "\n\n".join(parts)


def measured_on(race: dict[str, Any]) -> str:
    """Return on what machine the networks were measured, for how long, and a warning where it was busy otherwise."""
    measured = {name: record for name, record in race["networks"].items() if "minutes" in record}
    minutes = ", ".join(f"{name} {record['minutes']:.1f}" for name, record in measured.items())
    machine = race["machine"]
    text = f"Measured on {machine['cores']} cores of {machine['processor']}, in minutes: {minutes}."
    busy = {name: record["other_load"] for name, record in measured.items() if record["other_load"] > QUIET}
    if not busy:
        return f"{text} Other programs kept at most {QUIET} cores busy meanwhile."
    cores = ", ".join(f"{name} {load:.1f}" for name, load in busy.items())
    return f"{text} **Do not rely on the times of {cores}**: so many cores were kept busy by other programs meanwhile."


def race_table(name: str, record: dict[str, Any], labels: dict[str, str]) -> str:
    """Return the table of one network."""
    if "absent" in record:
        return f"**{name}**: absent, {record['absent']}"
    size = record["size"]
    ann = "" if size["ann_accuracy"] is None else f", {percent(size['ann_accuracy'])} correct before conversion"
    lines = [
        f"**{name}**: {size['neurons']:,} neurons, {size['synapses']:,} synapses, {size['images']} images{ann}",
        "",
        "| program | ms an image, one core | both cores | images/s, both cores | ns an event, one core "
        "| peak memory, MB | accuracy | time / C++ loop, one core | both cores | time / rows alone, one core |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for program, entry in record["programs"].items():
        lines.append(_row(labels[program], entry, record["programs"]))
    return "\n".join([*lines, *_comparison(record["programs"], labels)])


def _comparison(entries: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return a sentence on how many spike counts differ from the yardstick's, if any program was compared with it."""
    parts = []
    for program, entry in entries.items():
        if "spikes" in entry:
            spikes = entry["spikes"]
            by = f", by at most {spikes['largest']}" if spikes["differing"] else ""
            parts.append(f"{labels[program]} {spikes['differing']:,} of {spikes['counts']:,}{by}")
        if "float64_difference" in entry:
            parts.append(
                f"{labels[program]} in float64: largest difference of an output {entry['float64_difference']:g}"
            )
    return ["", f"Spike counts that differ from the {labels[YARDSTICK]}'s: {'; '.join(parts)}."] if parts else []


def _row(label: str, entry: dict[str, Any], entries: dict[str, Any]) -> str:
    """Return the row of one program, or the reason why it is absent."""
    if "absent" in entry:
        return f"| {label} | absent: {entry['absent']} | | | | | | | | |"
    yardstick = entries.get(YARDSTICK, {})
    one, both = ms_of(entry, "one"), ms_of(entry, "both")
    events = yardstick.get("events_per_image")
    batch = f" (batch {entry['batch']})" if entry.get("batch", 1) > 1 else ""
    grid = f" (grid 2**{math.frexp(entry['grid'])[1] - 1})" if "grid" in entry else ""
    cells = [
        label + batch + grid,
        number(one),
        number(both),
        "" if both is None else f"{1e3 / both:.{0 if both < 100 else 2}f}",
        "" if one is None or not events else f"{1e6 * one / events:.2f}",
        "" if entry["peak_mb"] is None else f"{entry['peak_mb']:.0f}",
        "" if entry["accuracy"] is None else percent(entry["accuracy"]),
        ratio(one, ms_of(yardstick, "one")),
        ratio(both, ms_of(yardstick, "both")),
        ratio(one, ms_of(entries.get(LIMIT, {}), "one")),
    ]
    return "| " + " | ".join(cells) + " |"


def ms_of(entry: dict[str, Any], cores: str) -> float | None:
    """Return the milliseconds for an image, or None where that was not measured."""
    return entry[cores]["ms"] if cores in entry else None


def number(value: float | None) -> str:
    """Return three significant digits."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def percent(share: float) -> str:
    """Return a share as per cent."""
    return f"{100 * share:.1f} %"


def ratio(value: float | None, reference: float | None) -> str:
    """Return a quotient, empty where one of the two is missing."""
    return "" if value is None or not reference else f"{value / reference:.2f}"


def own_table(networks: dict[str, Any], programs: dict[str, Any], target: dict[str, float]) -> str:
    """Return what explicit synapses and shared kernels cost, and the memory that their simulation takes.

    The target counts kernels and neurons; explicit synapses take memory each, for which it has no term.
    """
    lines = [
        "| network | brian_snn | ms an image, whole call | of it the compiled program | processor time | start, ms "
        "| peak memory of the compiled program, MB (allowed) | and of Python, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, record in networks.items():
        allowed = allowed_memory_mb(record["size"], target) if "size" in record else 0
        for program, entry in record.get("programs", {}).items():
            if "simulation_peak_mb" not in entry:
                continue
            one, explicit = entry["one"], programs[program]["settings"]["projection"] == "synapses"
            times = [number(one[key]) for key in ("ms", "run_ms", "processor_ms")]
            times.append(BELOW_NOISE if one["start_ms"] < 0 else number(one["start_ms"]))
            peak = f"{entry['simulation_peak_mb']:.0f}" + ("" if explicit else f" ({allowed:.0f})")
            cells = [name, programs[program]["label"], *times, peak, f"{entry['python_peak_mb']:.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def allowed_memory_mb(size: dict[str, Any], target: dict[str, float]) -> float:
    """Return the memory that the target allows the compiled program: its weights, so much a neuron, and a base."""
    return (size["weight_bytes"] + target["bytes_per_neuron"] * size["neurons"]) / 1e6 + target["base_mb"]


def scaling_table(sweeps: dict[str, Any], labels: dict[str, str]) -> str:
    """Return the fitted exponents, the straight lines, and how far a point lies from them."""
    lines = [
        "| time against | program | from | to | exponent | line: constant, ms | ns a unit | largest deviation |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for axis, programs in sweeps.items():
        for name, sweep in programs.items():
            ends = f"{min(sweep['work']):,.0f} | {max(sweep['work']):,.0f}"
            line = f"{1e3 * sweep['constant_s']:.3g} | {1e9 * sweep['unit_s']:.3g} | {percent(sweep['deviation'])}"
            lines.append(f"| {axis} | {labels[name]} | {ends} | {sweep['slope']:.2f} | {line} |")
    return "\n".join(lines)


def write_into(readme: Path, tables: str) -> None:
    """Replace what the README holds between the markers.

    Raises
    ------
    ValueError
        If the README does not hold both markers, in order.
    """
    text = readme.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme}: the lines {BEGIN!r} and {END!r} must be there, in this order.")
    readme.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", "utf-8")
