"""Race brian_snn against our C++ loop and other simulators on the same networks and images.

`--part race` times all programs on every network, `--part scaling` the cost against the work; both are the default.
`--table` prints the tables of the README from what is stored, and `--write-readme` puts them into it.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

from machine import Stopwatch, description
from tables import all_tables, write_into

HERE = Path(__file__).resolve().parent
PARTS = ("race", "scaling")

# What experiments share lies beside them.
sys.path.append(str(HERE.parent))

logger = logging.getLogger("benchmarks")


def options() -> argparse.Namespace:
    """Return the command line."""
    from platformdirs import user_cache_path

    cache = user_cache_path("brian_snn") / "benchmarks"
    default = f"default: in {cache}"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=HERE / "params.json", help="numbers and seeds")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder for the numbers")
    parser.add_argument(
        "--venvs", type=Path, default=cache / "venvs", help=f"environments of the peers ({cache}/venvs)"
    )
    parser.add_argument("--models", type=Path, default=cache / "models", help=f"trained networks; {default}")
    parser.add_argument("--part", choices=PARTS, nargs="+", default=list(PARTS), help="what to measure")
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="networks of the race; the rest keeps its numbers")
    parser.add_argument("--programs", nargs="+", metavar="PROGRAM", help="programs of the race; the rest likewise")
    parser.add_argument("--images", type=int, help="fewer images than params.json says, for a trial")
    parser.add_argument("--table", action="store_true", help="measure nothing; print the tables")
    parser.add_argument("--write-readme", action="store_true", help="put the tables into README.md")
    return parser.parse_args()


def run_race(chosen: argparse.Namespace, params: dict[str, Any]) -> None:
    """Race on all networks asked for; store after each, keeping stored numbers of what was not asked for."""
    # Keras takes seconds to import, and the tables do not need it.
    from networks import load_case
    from race import race
    from venvs import AbsentError, Environments

    environments = Environments(chosen.venvs, params["venvs"])
    programs = chosen.programs or list(params["programs"])
    path = chosen.results / "race.json"
    record = json.loads(path.read_text("utf-8")) if path.exists() else {"networks": {}}
    for name in chosen.only or params["networks"]:
        stopwatch = Stopwatch()
        try:
            measured = race(load_case(name, params, chosen.models), programs, environments, params)
        except AbsentError as error:
            measured = {"absent": str(error)}
        kept = record["networks"].get(name, {}).get("programs", {}) if chosen.programs else {}
        if "programs" in measured:
            merged = kept | measured["programs"]
            measured["programs"] = {key: merged[key] for key in params["programs"] if key in merged}
            measured |= stopwatch.read()
        record["networks"][name] = measured
        order = [key for key in params["networks"] if key in record["networks"]]
        record["networks"] = {key: record["networks"][key] for key in order}
        store(path, record | description(params))


def run_scaling(chosen: argparse.Namespace, params: dict[str, Any]) -> None:
    """Measure the cost against the work and store it."""
    from scaling import measure_scaling

    stopwatch = Stopwatch()
    record = {"sweeps": measure_scaling(params, chosen.models)}
    store(chosen.results / "scaling.json", record | stopwatch.read() | description(params))


def store(path: Path, record: dict[str, Any]) -> None:
    """Write a result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def stored(path: Path) -> dict[str, Any] | None:
    """Return a stored result, None if there is none."""
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def main() -> None:
    """Measure what was asked for and print the tables."""
    chosen = options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    params = json.loads(chosen.params.read_text("utf-8"))
    if chosen.images:
        params["images"] = chosen.images
    if not chosen.table:
        if "race" in chosen.part:
            run_race(chosen, params)
        if "scaling" in chosen.part:
            run_scaling(chosen, params)
    race, scaling = (stored(chosen.results / f"{part}.json") for part in PARTS)
    if race is None:
        raise SystemExit(f"{chosen.results / 'race.json'} is not there; run without --table first.")
    tables = all_tables(race, scaling)
    logger.info(tables)
    if chosen.write_readme:
        write_into(HERE / "README.md", tables)


if __name__ == "__main__":
    main()
