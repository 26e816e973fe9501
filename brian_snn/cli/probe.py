"""``brian-snn probe make | verdict``: the conformance network, and the rule by which a simulator or a chip ran it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from brian_snn.cli.options import FAILED


def add_options(parser: ArgumentParser) -> None:
    """Add the two actions."""
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    make = actions.add_parser("make", help="write the network, as a network file and as plain arrays")
    make.add_argument("folder", type=Path, help="folder to write")
    verdict = actions.add_parser("verdict", help="name the rule by the spike counts of the output")
    text = "16 whole numbers in a text (.txt), or a run: .npz, .csv, NIRData (.h5), with the population out"
    verdict.add_argument("output", type=Path, metavar="OUTPUT", help=text)


def run(arguments: Namespace) -> int:
    """Make the network, or name the rule; return 1 if it is not Eq. (4b)."""
    from brian_snn.cli.console import heading, new_console, table
    from brian_snn.referee.probe import probe_verdict
    from brian_snn.referee.probe_files import read_output, write_probe

    console = new_console()
    if arguments.action == "make":
        console.print(f"wrote {', '.join(write_probe(arguments.folder))} into {arguments.folder}")
        return 0
    found = probe_verdict(read_output(arguments.output))
    rows = [
        {"spikes of the output": what, **{str(k): int(n) for k, n in enumerate(counts)}}
        for what, counts in (("Eq. (4b)", found.expected), ("found", found.counts))
    ]
    console.print(table(rows, ("spikes of the output",)))
    if found.alike:
        console.print(heading("The probe cannot tell it from"), "; ".join(found.alike), sep="\n")
    console.print(heading("Verdict"), found.statement, sep="\n")
    return 0 if (found.counts == found.expected).all() else FAILED
