"""The command line: ``brian-snn demo | convert | simulate | verify | report | sweep | cache | figure | bench``.

A command is one entry of `COMMANDS`. The options of a simulation are the fields of `Settings` with their defaults.
Whatever a command needs is imported when it runs, so that ``--help`` answers at once.

Exit codes: 0; 1 if a verification failed or spike counts differ that must not; 2 for bad input, for an output that
cannot be written, and for Ctrl-C.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import warnings
from argparse import Action, ArgumentDefaultsHelpFormatter, ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from brian_snn.cli import figure
from brian_snn.cli.options import (
    BAD_INPUT,
    DATA_HELP,
    PERCENTILE_HELP,
    SCHEDULER_HELP,
    add_any_range,
    add_output,
    add_replay,
    add_workers,
)
from brian_snn.errors import BrianSnnError, SettingError
from brian_snn.escaping import shown
from brian_snn.files import sweep_temporary
from brian_snn.limits import FULL, is_thread_limit, remedy, require_memory
from brian_snn.processors import usable_processors
from brian_snn.quiet_brian import import_brian2
from brian_snn.setting_options import add_settings
from brian_snn.settings import Settings
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
    """One command: its name, what it does, its options and the function that runs it and returns the exit code."""

    name: str
    summary: str
    add_options: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors become one line on the standard error.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the name of the program; those of the process by default.

    Returns
    -------
    code : int
        0; 1 if a verification failed or spike counts differ that must not; 2 for bad input and Ctrl-C.
    """
    try:
        arguments = build_parser().parse_args(argv)
        with warnings.catch_warnings():
            _silence_libraries()
            require_memory()
            import_brian2()
            sweep_temporary()
            code = int(arguments.run(arguments))
            sys.stdout.flush()
            return code
    except BrianSnnError as error:
        return _fail(_with_names_shown(str(error), sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was written.")
    except OSError as error:
        where = f"{shown(str(error.filename))}: " if error.filename else ""
        advice = "" if error.errno in FULL else remedy(error, "")
        return _fail(f"{where}{error.strerror or error}{advice and '; '}{advice}.")
    except MemoryError as error:
        what = f" ({error})" if str(error) else ""
        return _fail(f"there is not enough memory{what}; give the process more, or fewer images at a time.")
    except SystemError as error:
        # Code in C that met an error and did not say which, as it happens with too little memory.
        return _fail(f"a library failed without a reason ({error}); is there enough memory?")
    except ImportError as error:
        return _fail(f"a library cannot be loaded: {error}.")
    # What no reader foresaw in a file: the last line of defence. A recursion that is too deep is a RuntimeError too.
    except RecursionError:
        return _fail("what was given lies too deep in itself: lists in lists, or a model of very many layers in a row.")
    except RuntimeError as error:
        if not is_thread_limit(error):
            raise
        return _fail(f"{error}; {remedy(BlockingIOError(errno.EAGAIN, ''), '')}.")
    except UnicodeError as error:
        return _fail(f"a name or a text cannot be read or written here ({error}); use plain letters or LC_ALL=C.UTF-8.")


def build_parser() -> ArgumentParser:
    """Return the parser with all commands."""
    parser = _Parser(
        prog="brian-snn", description="Convert trained Keras networks to spiking ones, simulate and verify."
    )
    parser.add_argument("--version", action="version", version=f"brian-snn {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.name, help=command.summary, description=command.summary, formatter_class=_HelpFormatter
        )
        command.add_options(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def _convert_options(parser: ArgumentParser) -> None:
    """Add the options of ``convert``."""
    parser.add_argument("model", type=Path, help="a .keras or .h5 file")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help=DATA_HELP.format("calibration images"))
    parser.add_argument("--percentile", type=float, default=99.9, metavar="P", help=PERCENTILE_HELP)
    parser.add_argument(
        "--normalisation", default="layer", metavar="layer|channel", help="one lambda per layer or channel"
    )
    parser.add_argument(
        "--grid", type=float, default=2**-24, metavar="G", help="power of two; weights are multiples of it"
    )
    parser.add_argument(
        "--until", metavar="LAYER", help="convert only what this layer and its ReLU need; the whole model by default"
    )
    add_output(parser, "file (.npz)")


def _simulate_options(parser: ArgumentParser) -> None:
    """Add the options of ``simulate``."""
    parser.add_argument("network", type=Path, help="file that brian-snn convert wrote")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help=DATA_HELP.format("images to show"))
    add_any_range(parser)
    add_settings(parser)
    add_workers(parser, default=1)
    for what, text in (("spikes", "spike trains"), ("potentials", "potential V(t)")):
        parser.add_argument(
            f"--record-{what}", nargs="+", default=(), metavar="LAYER", help=f"layers to record the {text} of"
        )
    parser.add_argument(
        "--shard-size",
        type=int,
        metavar="N",
        help="images to simulate and write at a time; some 64 MB worth by default",
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help=SCHEDULER_HELP)
    parser.add_argument(
        "--resume",
        action=BooleanOptionalAction,
        default=True,
        help="go on where the same command was interrupted; an error if the folder holds another simulation",
    )
    parser.add_argument(
        "--checkpoints", nargs="+", type=int, default=(), metavar="STEP", help="steps at which to keep the output"
    )
    add_output(parser, "folder")


def _sweep_options(parser: ArgumentParser) -> None:
    """Add the options of ``sweep``."""
    parser.add_argument("sweep", type=Path, help="TOML file: what stays the same, and in [grid] lists of what does not")
    add_any_range(parser)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes to run side by side")
    parser.add_argument("--scheduler", metavar="ADDRESS", help=SCHEDULER_HELP)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PATH", help="folder of the table; a sweep goes on in it"
    )


def _cache_options(parser: ArgumentParser) -> None:
    """Add the options of ``cache``."""
    parser.add_argument("action", choices=("list", "clear"), help="list: show the builds; clear: delete them")


def _verify_options(parser: ArgumentParser) -> None:
    """Add the options of ``verify``."""
    parser.add_argument("result", type=Path, help="folder that brian-snn simulate wrote")
    add_replay(parser)
    text = "also prove bounds of all rates of the first N images, and show how tight they are"
    parser.add_argument("--bounds", type=int, metavar="N", help=text)


def _report_options(parser: ArgumentParser) -> None:
    """Add the options of ``report``."""
    parser.add_argument("result", type=Path, help="folder that brian-snn simulate wrote")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="PATH",
        help="the Keras model that was converted, to compare rates with Keras; else with the network without spikes",
    )
    add_replay(parser)
    add_output(parser, "file", Path("report.html"))


def _demo_options(parser: ArgumentParser) -> None:
    """Add the options of ``demo``."""
    add_settings(parser, only=("steps", "threshold", "backend"))
    add_workers(parser, default=min(usable_processors(), 4))
    add_output(parser, "folder", Path("brian-snn-demo"))


def _bench_options(parser: ArgumentParser) -> None:
    """Add the options of ``bench``."""
    parser.add_argument(
        "network", type=Path, nargs="?", help="file that brian-snn convert wrote; that of the demo by default"
    )
    parser.add_argument("--data", type=Path, metavar="PATH", help=DATA_HELP.format("images to show"))
    add_any_range(parser)
    parser.add_argument("--images", type=int, metavar="N", help="show the first N images only; all by default")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="times that every row is measured")
    parser.add_argument(
        "--workers",
        type=int,
        nargs="+",
        default=sorted({1, usable_processors()}),
        metavar="N",
        help="processes to run side by side, a row each",
    )
    # What is left out is a column of the table, or has no compiled program.
    measured = ("projection", "float_type", "backend")
    add_settings(parser, only=[field.name for field in fields(Settings) if field.name not in measured])
    add_output(parser, "table (.csv)", optional=True)


def _later(module: str, function: str = "run") -> Callable[[Namespace], int]:
    """Return a function of `brian_snn.cli`, whose modules take long to import: longer than ``--help`` should."""

    def run(arguments: Namespace) -> int:
        code: int = getattr(import_module(f"brian_snn.cli.{module}"), function)(arguments)
        return code

    return run


def _silence_libraries() -> None:
    """Keep the chatter of TensorFlow, Keras and Brian2 off the terminal; their errors still come as exceptions."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    for name in ("tensorflow", "absl", "brian2", "py.warnings"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _with_names_shown(message: str, argv: Sequence[str]) -> str:
    """Return a message in which a line feed in the name of a file is told from those between its lines."""
    for name in {part for word in argv for part in str(word).split("/") if "\n" in part}:
        message = message.replace(name, shown(name))
    return message


def _fail(message: str) -> int:
    """Write one line to the standard error, whatever names it holds, and return the exit code for bad input."""
    line = " ".join(part.strip() for part in message.strip().split("\n"))
    # Its reader may be gone, like the terminal of a process that was hung up.
    with suppress(OSError):
        sys.stderr.write(f"brian-snn: error: {shown(line)}\n")
    return BAD_INPUT


COMMANDS = (
    Command(
        "demo",
        "Convert, simulate and verify a digit classifier that ships with the package.",
        _demo_options,
        _later("demo"),
    ),
    Command(
        "convert",
        "Convert a trained Keras model to a spiking network.",
        _convert_options,
        _later("commands", "convert"),
    ),
    Command(
        "simulate",
        "Simulate a converted network exactly, as compiled Brian2.",
        _simulate_options,
        _later("commands", "simulate"),
    ),
    Command(
        "verify",
        "Check a result against the rate equations, neuron by neuron.",
        _verify_options,
        _later("commands", "verify"),
    ),
    Command("report", "Write what a run came to into one HTML page.", _report_options, _later("commands", "report")),
    Command("sweep", "Simulate a grid of settings and models into one table.", _sweep_options, _later("sweep")),
    Command(
        "cache",
        "Show or delete the compiled networks that are kept for the next run.",
        _cache_options,
        _later("commands", "cache"),
    ),
    Command(
        "figure",
        "Draw a figure: of the supplement, of the rate laws, of error, cost and activity.",
        figure.add_options,
        figure.run,
    ),
    Command(
        "bench",
        "Measure what a simulation costs on this machine, in every way to run it.",
        _bench_options,
        _later("bench"),
    ),
)
