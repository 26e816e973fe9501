"""``brian-snn report``: what a run came to, on one HTML page."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from brian_snn.cli.options import FAILED, add_output, add_replay


def add_options(parser: ArgumentParser) -> None:
    """Add what is reported, what it is compared with, and where the page goes."""
    parser.add_argument("result", type=Path, help="folder that brian-snn simulate wrote")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="PATH",
        help="the model that was converted, whose activations rates are compared with; else the network without spikes",
    )
    add_replay(parser)
    add_output(parser, "file", Path("report.html"))


def run(arguments: Namespace) -> int:
    """Write the report of a saved result, and return 1 if an equation does not hold."""
    from brian_snn.analysis.dynamics import parse_replay
    from brian_snn.analysis.verdict import holds
    from brian_snn.cli.console import Stages, megabytes, new_console, show_json, verdict
    from brian_snn.files import check_target, staged_file
    from brian_snn.report.gather import gather
    from brian_snn.report.page import compose, render

    console = new_console()
    check_target(arguments.output, "file", arguments.force)
    with Stages() as stages:
        with stages.stage("verify every neuron"):
            gathered = gather(arguments.result, arguments.model, parse_replay(arguments.replay))
        with stages.stage("explain and draw"):
            page = render(compose(gathered))
    with staged_file(arguments.output) as path:
        path.write_text(page, "utf-8")
    console.print(verdict(gathered.verification), f"wrote {arguments.output}, {megabytes(len(page))}", sep="\n")
    show_json({"output": arguments.output, "holds": holds(gathered.verification)})
    return 0 if holds(gathered.verification) else FAILED
