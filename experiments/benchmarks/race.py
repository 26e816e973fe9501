"""The race on one network: prepare every program, let them take turns, keep medians."""

from __future__ import annotations

import logging
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from networks import Case
from programs import Program, Setting, make_program, rounds_of
from venvs import AbsentError, Environments

logger = logging.getLogger("benchmarks")


def race(case: Case, names: list[str], environments: Environments, params: dict[str, Any]) -> dict[str, Any]:
    """Measure programs on one network.

    Returns
    -------
    record : dict
        ``size`` of the network and, by name, ``programs``: what `Program.prepare` found and, for each number of cores,
        the medians over the rounds; or only ``absent``, the reason why a program was not measured.
    """
    programs: dict[str, Program] = {}
    records: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="brian_snn_race_") as folder:
        setting = Setting(case, Path(folder), environments, params)
        case.write(setting.folder)
        for name in names:
            try:
                program = make_program(name, setting)
                records[name] = program.prepare()
                programs[name] = program
                logger.info("%s, %s: ready", case.name, name)
            except AbsentError as error:
                records[name] = {"absent": str(error)}
                logger.info("%s, %s: absent, %s", case.name, name, error)
        for name, timed in _take_turns(case, programs, params).items():
            records[name] = timed if "absent" in timed else records[name] | timed
    return {"size": case.size, "programs": records}


def _take_turns(case: Case, programs: dict[str, Program], params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Run the programs round after round, so that what else the machine does meets all of them alike."""
    times: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    failed: dict[str, dict[str, Any]] = {}
    n_rounds = max((rounds_of(name, case, params) for name in programs), default=0)
    for number in range(n_rounds):
        for name, program in programs.items():
            if name in failed or number >= rounds_of(name, case, params):
                continue
            try:
                for cores in program.cores:
                    times[name, cores].append(program.time(cores))
            except AbsentError as error:
                failed[name] = {"absent": str(error)}
        logger.info("%s: round %d of %d", case.name, number + 1, n_rounds)
    summaries: dict[str, dict[str, Any]] = {name: {} for name in programs}
    for (name, cores), rounds in times.items():
        summaries[name][cores] = summarise(rounds)
    return summaries | failed


def summarise(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Return the medians over the rounds in milliseconds, and the fastest and the slowest round."""
    columns = {key: [1e3 * timed[key] for timed in rounds] for key in rounds[0]}
    medians = {key.replace("seconds", "ms"): float(np.median(values)) for key, values in columns.items()}
    return medians | {"range_ms": [min(columns["seconds"]), max(columns["seconds"])], "rounds": len(rounds)}
