"""The command line: ``brian-snn demo | convert | simulate | verify | check | probe | report | sweep | ...``.

A command is one entry of `COMMANDS` and a module of its name. The options of a simulation are the fields of `Settings`
with their defaults. Whatever a command needs is imported when it runs, so that ``--help`` answers at once.

Results go to the standard output: tables, nothing with ``--quiet``, one line of JSON with ``--json``. Progress and
errors go to the standard error.

Exit codes: 0; 1 if a verification failed, spikes or counts differ that must not, nothing met a target, or the doctor
found something; 2 for bad input, for an output that cannot be written, and for Ctrl-C.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from argparse import Action, ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from brian_snn.cli import (
    adjust,
    bits,
    build,
    cache,
    check,
    convert,
    describe,
    doctor,
    export_nir,
    figure,
    import_nir,
    probe,
    report,
    simulate,
    tune,
    verify,
)
from brian_snn.cli.errors import explanation
from brian_snn.cli.options import BAD_INPUT, add_bench_options, add_demo_options, add_sweep_options
from brian_snn.errors import SettingError
from brian_snn.escaping import shown
from brian_snn.files import sweep_temporary
from brian_snn.limits import require_memory
from brian_snn.quiet_brian import import_brian2
from brian_snn.settings_file import read_options
from brian_snn.version import __version__


class _HelpFormatter(ArgumentDefaultsHelpFormatter):
    """A formatter that shows defaults, but none where there is none."""

    def _get_help_string(self, action: Action) -> str | None:
        """Return the help of an option, with its default if that says something."""
        empty = action.default is None or action.default is False or action.default == ()
        return action.help if empty else super()._get_help_string(action)


class _Parser(ArgumentParser):
    """A parser that raises what is wrong with the arguments instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        """Raise the message with the command that explains the options."""
        raise SettingError(f"{message} (see {self.prog} --help).")


@dataclass(frozen=True)
class Command:
    """One command: its name, which is that of its module if that has no other, what it does, and its options.

    `json` says whether its results may be a line of JSON, `simulates` whether it comes to nothing without Brian2.
    """

    name: str
    summary: str
    add_options: Callable[[ArgumentParser], None]
    module: str = ""
    json: bool = False
    simulates: bool = True

    def run(self, arguments: Namespace) -> int:
        """Import its module, run it and return the exit code."""
        return int(import_module(f"brian_snn.cli.{self.module or self.name}").run(arguments))


COMMANDS = (
    Command("demo", "Convert, simulate and verify a digit classifier that ships with the package.", add_demo_options),
    Command("convert", "Convert a trained model to a spiking network.", convert.add_options, json=True),
    Command("adjust", "Give one population a lambda, threshold, leak, V(0) or clamp of its own.", adjust.add_options),
    Command("simulate", "Simulate a converted network exactly, as compiled Brian2.", simulate.add_options, json=True),
    Command("build", "Write a network as a C++ program that needs no Python.", build.add_options),
    Command("describe", "Describe a network for a paper, in Markdown.", describe.add_options),
    Command("import", "Read a network of another simulator from a NIR file.", import_nir.add_options, "import_nir"),
    Command("export", "Write a network as a NIR file, for other simulators.", export_nir.add_options, "export_nir"),
    Command("verify", "Check a result against the rate equations, neuron by neuron.", verify.add_options, json=True),
    Command("bits", "Prove how many bits the potentials of a network need.", bits.add_options, json=True),
    Command(
        "check", "Judge the spikes of another simulator or a chip, and name its rule.", check.add_options, json=True
    ),
    Command("probe", "Make the conformance network, and name the rule of what ran it.", probe.add_options),
    Command("report", "Write what a run came to into one HTML page.", report.add_options, json=True),
    Command("sweep", "Simulate a grid of settings and models into one table.", add_sweep_options, json=True),
    Command("tune", "Find settings that meet a target at the least cost.", tune.add_options, json=True),
    Command(
        "cache", "Show or delete the compiled networks that are kept for the next run.", cache.add_options, json=True
    ),
    Command("doctor", "Say what this machine has, and try it.", doctor.add_options, json=True, simulates=False),
    Command(
        "figure", "Draw a figure: of the supplement, of the rate laws, of error, cost and activity.", figure.add_options
    ),
    Command("bench", "Measure what a simulation costs on this machine, in every way to run it.", add_bench_options),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors become one line on the standard error.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the name of the program; those of the process by default.

    Returns
    -------
    code : int
        0; 1 if a verification failed, spike counts differ that must not, or nothing met a target; 2 for bad input and
        Ctrl-C.
    """
    try:
        parser = build_parser()
        arguments = parser.parse_args(argv)
        with warnings.catch_warnings():
            _silence_libraries()
            if arguments.command.simulates:
                require_memory()
                import_brian2()
                sweep_temporary()
            if getattr(arguments, "settings_file", None) is not None:
                # What the file says are the defaults of the command; an option that is given stands above it.
                arguments.parser.set_defaults(**read_options(arguments.settings_file))
                arguments = parser.parse_args(argv)
            return _run(arguments)
    except (Exception, KeyboardInterrupt) as error:
        message = explanation(error, sys.argv[1:] if argv is None else argv)
        if message is None:
            raise
        return _fail(message)


def _run(arguments: Namespace) -> int:
    """Run a command that shows what its options say."""
    from brian_snn.cli.console import Shown, showing

    with showing(Shown(arguments.quiet, getattr(arguments, "json", False))):
        code = int(arguments.run(arguments))
    sys.stdout.flush()
    return code


class _Completion(Action):
    """Print the completion of a shell and end."""

    def __call__(self, parser: ArgumentParser, namespace: object, values: object, option: str | None = None) -> None:
        """Print what the shell reads."""
        import shtab

        _complete_paths(parser, shtab.FILE)
        print(shtab.complete(parser, str(values)))
        parser.exit()


def _complete_paths(parser: ArgumentParser, how: object) -> None:
    """Let the shell complete the names of files, in a command and in those within."""
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for inner in action.choices.values():
                _complete_paths(inner, how)
        elif action.type is Path:
            action.complete = how  # type: ignore[attr-defined]


def build_parser() -> ArgumentParser:
    """Return the parser with all commands."""
    parser = _Parser(prog="brian-snn", description="Convert trained networks to spiking ones, simulate and verify.")
    parser.add_argument("--version", action="version", version=f"brian-snn {__version__}")
    text = 'print what makes the shell complete commands, options and files: eval "$(brian-snn --completion bash)"'
    parser.add_argument("--completion", choices=("bash", "zsh"), action=_Completion, help=text)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.name, help=command.summary, description=command.summary, formatter_class=_HelpFormatter
        )
        command.add_options(subparser)
        subparser.add_argument("--quiet", action="store_true", help="show neither results nor progress, errors only")
        if command.json:
            text = "write the results as one line of JSON on the standard output, and nothing else there"
            subparser.add_argument("--json", action="store_true", help=text)
        subparser.set_defaults(run=command.run, command=command, parser=subparser)
    return parser


def _silence_libraries() -> None:
    """Keep the chatter of libraries off the terminal; their errors still come as exceptions."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    for name in ("tensorflow", "absl", "brian2", "py.warnings"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _fail(message: str) -> int:
    """Write one line to the standard error, whatever names it holds, and return the exit code for bad input."""
    line = " ".join(part.strip() for part in message.strip().split("\n"))
    # Its reader may be gone, like the terminal of a process that was hung up.
    with suppress(OSError):
        sys.stderr.write(f"brian-snn: error: {shown(line)}\n")
    return BAD_INPUT
