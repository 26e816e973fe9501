"""Run the same networks in other simulators, and let `brian_snn.check` name the rule that each of them follows.

Every simulator gets the weights as they are, and the images as constant currents; what it spikes is judged. `--table`
prints the table of the README from what is stored, and `--write-readme` puts it there.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

# What experiments share lies beside them.
sys.path.append(str(HERE.parent))

from venvs import AbsentError, Environments, last_words  # noqa: E402

logger = logging.getLogger("experiments")

#: The README holds the table between these two lines.
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def options() -> argparse.Namespace:
    """Return the command line."""
    from platformdirs import user_cache_path

    venvs = user_cache_path("brian_snn") / "conformance" / "venvs"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=HERE / "params.json", help="networks, simulators, environments")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder for the judgements")
    parser.add_argument("--venvs", type=Path, default=venvs, help=f"environments of the simulators (default: {venvs})")
    parser.add_argument("--only", nargs="+", metavar="SIMULATOR", help="run these; the rest keeps its judgements")
    parser.add_argument("--table", action="store_true", help="run nothing; print the table")
    parser.add_argument("--write-readme", action="store_true", help="put the table into README.md")
    return parser.parse_args()


def judge_all(chosen: argparse.Namespace, params: dict[str, Any]) -> dict[str, Any]:
    """Run the simulators on every network and return what was judged, those that are absent with the reason."""
    from workloads import workload_of

    environments = Environments(chosen.venvs, params["venvs"])
    path = chosen.results / "conformance.json"
    record = json.loads(path.read_text("utf-8")) if path.exists() else {"networks": {}}
    for name in ("probe", *params["networks"]):
        workload = None if name == "probe" else workload_of(name, params, chosen.results)
        judged = record["networks"].get(name, {})
        for peer in chosen.only or params["peers"]:
            if workload is None and not params["peers"][peer].get("probe"):
                continue
            logger.info("%s in %s", name, params["peers"][peer]["label"])
            try:
                judged[peer] = run_and_judge(workload, params["peers"][peer], environments, params["timeout_s"])
            except AbsentError as error:
                judged[peer] = {"absent": str(error)}
        record["networks"][name] = {peer: judged[peer] for peer in params["peers"] if peer in judged}
    record["peers"] = {key: peer["label"] for key, peer in params["peers"].items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return record


def run_and_judge(workload: Any, peer: dict[str, Any], environments: Environments, timeout_s: float) -> dict[str, Any]:
    """Run a simulator and judge its spikes.

    Raises
    ------
    AbsentError
        If it cannot be installed, fails or takes too long.
    """
    import numpy as np
    from workloads import as_network, write_workload

    from brian_snn import check
    from brian_snn.referee.probe_files import write_probe

    with tempfile.TemporaryDirectory() as name:
        given, spikes = Path(name) / "workload.npz", Path(name) / "run.npz"
        if workload is None:
            write_probe(Path(name) / "probe")
            given = Path(name) / "probe" / "probe_v1_arrays.npz"
        else:
            write_workload(workload, given)
        run_script(peer, environments, [given, spikes], timeout_s)
        with np.load(spikes, allow_pickle=False) as stored:
            versions = json.loads(str(stored["versions"]))
            trains = {key: stored[key] for key in stored.files if key != "versions"}
    if workload is None:
        return {"versions": versions} | judged_by_probe(trains["spikes/out"])
    network = as_network(workload, peer.get("average_pooling", "linear"))
    trains = {key.removeprefix("spikes/"): values for key, values in trains.items()}
    found = check(network, trains, workload.images)
    return {
        "versions": versions,
        "verdict": found.verdict,
        "rule": found.rule,
        "alike": list(found.alike),
        "rounding": found.rounding,
        "decisions": sum(values.size for values in trains.values()),
        "rules": json.loads(found.rules.to_json(orient="records")),
        "populations": json.loads(found.table.to_json(orient="records")),
    }


def judged_by_probe(spikes: Any) -> dict[str, Any]:
    """Return what the output counts of the conformance network say."""
    from brian_snn.referee.probe import probe_verdict

    counts = spikes[0].sum(axis=0, dtype=int)
    found = probe_verdict(counts)
    return {
        "verdict": found.statement,
        "rule": found.rule,
        "alike": list(found.alike),
        "counts": counts.tolist(),
        "decisions": len(counts),
    }


def run_script(peer: dict[str, Any], environments: Environments, files: list[Path], timeout_s: float) -> None:
    """Run the script of a simulator in its environment."""
    python = environments.python_of(peer["venv"]) if peer["venv"] else Path(sys.executable)
    variant = ["--variant", peer["variant"]] if "variant" in peer else []
    command = [str(python), str(HERE / "peers" / peer["script"]), *map(str, files), *variant]
    # What this process may import from elsewhere is of another Python than a peer's.
    environment = os.environ | ({"PYTHONPATH": ""} if peer["venv"] else {})
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env=environment)
    except subprocess.TimeoutExpired as error:
        raise AbsentError(f"stopped after {timeout_s} s") from error
    if done.returncode:
        raise AbsentError(f"exit code {done.returncode}: {last_words(done.stderr)}")


def table(record: dict[str, Any]) -> str:
    """Return the verdicts as Markdown."""
    names = list(record["networks"])
    lines = [
        "| simulator | " + " | ".join(f"verdict on {name}" for name in names) + " |",
        "|---" * (1 + len(names)) + "|",
    ]
    for peer, label in record["peers"].items():
        cells = [_cell(record["networks"][name].get(peer)) for name in names]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(judged: dict[str, Any] | None) -> str:
    if judged is None:
        return "not run"
    if "absent" in judged:
        return f"absent: {judged['absent']}"
    alike = f"; not told apart from: {', '.join(judged['alike'])}" if judged["alike"] else ""
    versions = ", ".join(f"{package} {number}" for package, number in judged["versions"].items())
    seen = f"{len(judged['counts'])} counts" if "counts" in judged else f"{judged['decisions']:,} decisions"
    return f"{judged['verdict']} ({seen}{alike}; {versions})"


def write_into(readme: Path, text: str) -> None:
    """Replace what the README holds between the markers."""
    before, begin, rest = readme.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme}: the lines {BEGIN!r} and {END!r} must be there, in this order.")
    readme.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")


def main() -> None:
    """Judge, print the table, and store both."""
    chosen = options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    params = json.loads(chosen.params.read_text("utf-8"))
    path = chosen.results / "conformance.json"
    if chosen.table:
        if not path.exists():
            raise SystemExit(f"{path} is not there; run without --table first.")
        record = json.loads(path.read_text("utf-8"))
    else:
        record = judge_all(chosen, params)
    text = table(record)
    print(text)
    if chosen.write_readme:
        write_into(HERE / "README.md", text)


if __name__ == "__main__":
    main()
