"""Sweep the voltage clamp, the number of steps and the reset on the network of Figure S1, for one photo."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from brian_snn.analysis.transients import pearson
from brian_snn.network.forward import forward
from brian_snn.settings import Execution, Settings
from brian_snn.studies.clamp_transients import sweep
from brian_snn.studies.s1 import Subject, prepare

HERE = Path(__file__).resolve().parent

logger = logging.getLogger("clamp_transients")


def data_folder() -> Path:
    """Return the folder of the weights and the photos."""
    root = os.environ.get("BRIAN_SNN_DATA", "")
    if not (root and (Path(root) / "photos").is_dir()):
        sys.exit(f"BRIAN_SNN_DATA is {root!r}; it must name the folder that holds photos/ and the weights.")
    return Path(root)


def sweep_subject(subject: Subject, params: dict[str, Any]) -> Iterator[pd.DataFrame]:
    """Yield one table per clamp and reset, for all layers whose neurons spike."""
    names = [p.name for p in subject.network.populations if p.kind == "spiking"]
    activations = {name: subject.activations[name] for name in names}
    start = time.perf_counter()
    for table in sweep(
        subject.network, subject.image, activations, params["clamps"], params["steps"], Settings(), Execution()
    ):
        seconds = time.perf_counter() - start
        logger.info("%s, clamp %d: after %.1f s", table["reset"].iloc[0], table["clamp"].iloc[0], seconds)
        yield table


def saturation_limit(subject: Subject) -> dict[str, float]:
    """Return r and the mean absolute map offset of the ANN itself, were its activations cut at lambda."""
    network, output = subject.network, subject.network.output.name
    cut = tuple(replace(p, ceiling=float(p.scale)) if p.kind == "spiking" else p for p in network.populations)
    whole, limited = (forward(n, subject.image)[output] for n in (network, replace(network, populations=cut)))
    offsets = (limited - whole).reshape(-1, whole.shape[-1]).mean(axis=0)
    return {"pearson_r": pearson(whole, limited), "mean_abs_offset": float(abs(offsets).mean())}


def main() -> None:
    """Convert, simulate, compare, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--params", type=Path, default=HERE / "params.json", help="the grid")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder for the table")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    params = json.loads(options.params.read_text("utf-8"))
    root = data_folder()
    subject = prepare(str(root / params["weights"]), root / params["photo"], percentile=params["percentile"])
    start = time.perf_counter()
    table = pd.concat(sweep_subject(subject, params))
    record = {
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "network": subject.summary,
        "saturation_limit": saturation_limit(subject),
        "versions": {"python": platform.python_version()} | {n: version(n) for n in ("brian_snn", "brian2", "keras")},
        "params": params,
    }
    options.results.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.results / "offsets.csv", index=False, float_format="%.6g")
    (options.results / "offsets.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
