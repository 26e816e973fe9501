"""Simulate all of Inception-V3 for one photo and compare it with Keras, layer by layer."""

from __future__ import annotations

import logging
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brian_snn.analysis.ann import compare_with_ann
from brian_snn.analysis.transients import layer_offsets
from brian_snn.analysis.verify import verify
from brian_snn.arrays import FloatArray
from brian_snn.cli.experiment import keep, note, script
from brian_snn.conversion.convert import convert
from brian_snn.frontends.keras.applications import load_inception
from brian_snn.frontends.table import reference_activations
from brian_snn.network.network import Network
from brian_snn.network.records import INPUT
from brian_snn.network.synapses import n_synapses
from brian_snn.photos import photo_files, read_photo
from brian_snn.results.result import Result
from brian_snn.running.simulate import simulate
from brian_snn.studies.subjects import data_path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "benchmarks" / "peers"))

from on_brian_snn import peak_of_descendants_mb  # noqa: E402

logger = logging.getLogger("inception_v3")


@dataclass(frozen=True, eq=False)
class Subject:
    """The network, the photo as it takes it, and what Keras computes for that."""

    network: Network
    image: FloatArray
    activations: dict[str, FloatArray]
    weights: str


def prepare(params: dict[str, Any]) -> Subject:
    """Convert Inception-V3, normalised on all photos, without its classifier."""
    inception = load_inception(str(data_path(params["weights"])))
    side = inception.model.input_shape[1]
    black, white = inception.pixels
    photo = data_path(params["photo"])

    def pixels(path: Path) -> FloatArray:
        return black + (white - black) * read_photo(path, side)

    calibration = np.stack([pixels(path) for path in photo_files(photo.parent)])
    network = convert(inception.model, calibration, params["percentile"], params["normalisation"])
    image = pixels(photo)[None]
    return Subject(network, image, reference_activations(inception.model, network, image), inception.weights)


def peak_megabytes() -> int:
    """Return the peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def layer_table(subject: Subject, result: Result) -> pd.DataFrame:
    """Return one row per population: depth, correlation with the ANN, offsets, mean rate."""
    network = subject.network
    table = compare_with_ann(result, subject.activations).set_index("population")
    spiking = {p.name: subject.activations[p.name] for p in network.populations if p.kind != "readout"}
    offsets = layer_offsets(result, spiking).set_index("population")
    table["mean_abs_offset"] = offsets["mean_abs_offset"]
    table["depth"] = [network[name].depth for name in table.index]
    table["kind"] = [network[name].kind for name in table.index]
    table["window_steps"] = [result.window_steps(name) for name in table.index]
    table["mean_rate"] = [result.spike_counts[name].mean() / max(1, result.window_steps(name)) for name in table.index]
    return table.reset_index()


def run_case(case: dict[str, Any], subject: Subject, check: bool) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Simulate one case; return its table of layers and its costs, with the verdict of `verify` if asked for."""
    results: list[Result] = []
    options = {name: case[name] for name in ("steps", "v_init", "clamp")}
    # Compiles; the compiler's memory is not the simulation's.
    first = simulate(subject.network, subject.image, steps=1, projection="shared")
    peak_mb = peak_of_descendants_mb(
        lambda: results.append(simulate(subject.network, subject.image, **options, projection="shared"))
    )
    (result,) = results
    table = layer_table(subject, result)
    table.insert(0, "case", case["name"])
    costs: dict[str, Any] = {
        "seconds": {stage: round(seconds, 1) for stage, seconds in (first.timings_s | result.timings_s).items()},
        "synaptic_events": int(result.synaptic_events[0]),
        "spikes": sum(int(counts.sum()) for counts in result.spike_counts.values()),
        "output_pearson_r": round(float(table["pearson_r"].iloc[-1]), 4),
        "peak_mb_compiled_process": round(peak_mb),
        "peak_mb_python": peak_megabytes(),
    }
    if check:
        start = time.perf_counter()
        report = verify(result)
        costs["verify"] = {
            "seconds": round(time.perf_counter() - start, 1),
            "rows": len(report),
            "checks": int(report["neurons"].sum()),
            "holds": bool(report["holds"].all()),
            "max_residual_charge": float(report["max_residual_charge"].max()),
            "peak_mb_python": peak_megabytes(),
        }
    logger.info("%s: %s", case["name"], costs)
    return table, costs


def main() -> None:
    """Convert, simulate, compare, store."""
    options = script(__doc__, Path(__file__))
    params = options.params
    start = time.perf_counter()
    subject = prepare(params)
    seconds = round(time.perf_counter() - start, 1)
    runs = {case["name"]: run_case(case, subject, check=not k) for k, case in enumerate(params["cases"])}
    network = subject.network
    record = {
        "weights": subject.weights,
        "populations": len(network.populations),
        "projections": len(network.projections),
        "neurons": sum(population.size for population in network.populations),
        "synapses": sum(n_synapses(network, p) for p in network.projections if p.source != INPUT),
        "seconds_to_convert": seconds,
        "cases": {name: costs for name, (_, costs) in runs.items()},
    }
    keep(options, {"layers": pd.concat([table for table, _ in runs.values()])}, digits={"layers": 5})
    note(options, "costs.json", record)


if __name__ == "__main__":
    main()
