"""``brian-snn doctor``: what this machine has, whether a simulation works here, and what to do where one does not."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from brian_snn.cli.options import FAILED


def add_options(parser: ArgumentParser) -> None:
    """Add what is left out."""
    parser.add_argument("--no-self-test", action="store_true", help="compile and simulate nothing, and so take no time")


def run(arguments: Namespace) -> int:
    """Show what was found, and return 1 if anything is wrong."""
    from brian_snn.cli.console import new_console, show_json, table
    from brian_snn.report.doctor import doctor

    findings, console = doctor(self_test=not arguments.no_self_test), new_console()
    wrong = [finding for finding in findings if finding.problem]
    console.print(table([{"": finding.name, "found": finding.found} for finding in findings], ("", "found")))
    for finding in wrong:
        console.print(f"\n{finding.name}: {finding.problem}", style="bold red", soft_wrap=True)
    console.print("\nall is well" if not wrong else f"\n{len(wrong)} of {len(findings)} need something")
    show_json({"ok": not wrong, "findings": [asdict(finding) for finding in findings]})
    return FAILED if wrong else 0
