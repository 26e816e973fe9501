"""The section of the report that says how a run came about, and how to have it again."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping

from brian_snn.frontends.table import packages_of_models
from brian_snn.pixel_range import finite_range, is_far_outside
from brian_snn.report.blocks import Block, Command, Section, Text, cell, pairs, table
from brian_snn.report.gather import Run
from brian_snn.results.store import NETWORK
from brian_snn.setting_options import settings_options
from brian_snn.version import __version__, installed_versions

_SIMULATED = ("network", "images")
_PACKAGES = ("brian2", "numpy", "matplotlib")


def provenance(run: Run) -> Section:
    """Return settings, versions, hashes and timings."""
    network = run.result.network
    converted = {"percentile": network.percentile, "normalisation": network.normalisation, "grid": repr(network.grid)}
    blocks: list[Block] = [
        pairs("Settings of the simulation", _settings(run)),
        pairs("Settings of the conversion", converted),
        table("Versions", _versions(run)),
        table("SHA-256", _hashes(run)),
        pairs("Timings (s)", {name: cell(float(seconds)) for name, seconds in run.result.timings_s.items()}),
    ]
    return Section("provenance", "Settings, versions, hashes, timings", tuple(blocks))


def _settings(run: Run) -> dict[str, object]:
    """Return the settings by name; whole numbers without separators, as they are typed."""
    return {name: str(value) for name, value in run.result.settings.numbers().items()}


def _versions(run: Run) -> list[Mapping[str, object]]:
    """Return the versions that converted, that simulated and that write this page."""
    converted = run.result.network.provenance
    packages = (*_PACKAGES, *(name for name in packages_of_models() if name in converted))
    stages = {
        "converted with": converted,
        "simulated with": run.description.get("versions", {}),
        "this page": {"brian_snn": __version__, "python": platform.python_version()} | installed_versions(packages),
    }
    names = ("brian_snn", "python", *packages)
    return [{"": stage} | {name: known.get(name, "not noted") for name in names} for stage, known in stages.items()]


def _hashes(run: Run) -> list[Mapping[str, object]]:
    """Return the hashes of model, network and images."""
    provenance = run.result.network.provenance
    rows: list[Mapping[str, object]] = []
    if "sha256" in provenance:
        model = f"model file, {provenance.get('file', 'unnamed')}"
        rows.append({"of": model, "SHA-256": provenance["sha256"], "from": "the conversion"})
    if "weights_sha256" in provenance:
        rows.append({"of": "its weights", "SHA-256": provenance["weights_sha256"], "from": "the conversion"})
    rows += [{"of": name, "SHA-256": run.description[f"{name}_sha256"], "from": "the run"} for name in _SIMULATED]
    return rows


def reproduce(run: Run) -> Section:
    """Return the commands that simulate the run once more."""
    result, folder = run.result, str(run.folder)
    again = folder.rstrip("/") + "-again"
    options = settings_options(result.settings)
    if len(result.checkpoints):
        options += ["--checkpoints", *map(str, result.checkpoints.tolist())]
    first = result.parts()[0]
    kept = {"spikes": first.spike_trains, "potentials": first.potential_traces, "counts": first.count_history}
    for what, recorded in kept.items():
        options += [f"--record-{what}", *recorded] if recorded else []
    found = finite_range(result.images, "images of the run")
    options += ["--any-range"] if is_far_outside(found, result.network.calibration_range) else []
    model = [] if run.model is None else ["--model", str(run.model)]
    commands = (
        ["brian-snn", "simulate", f"{folder}/{NETWORK}", "--data", folder, *options, "-o", again],
        ["brian-snn", "report", again, *model, "-o", f"{again}.html"],
    )
    blocks: list[Block] = [Command(tuple(map(shlex.join, commands)))]
    if result.first_image:
        blocks.append(Text(f"The first of its images had the number {result.first_image} in a larger simulation."))
    return Section("reproduce", "To have it again", tuple(blocks))
