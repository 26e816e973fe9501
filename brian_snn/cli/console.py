"""What the command line shows: tables, numbers and the progress of stages, by rich."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any

import pandas as pd
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from brian_snn.analysis import verdict as analysis_verdict
from brian_snn.escaping import shown

#: Equations in the order of the columns of the verification table; others of a report come behind them.
EQUATIONS = ("S9", "S11", "charge", "synapses", "max_pool", "spikes")

#: What the verification table shows.
RESIDUAL_NOTE = (
    "in thresholds; - does not apply; charge: 0 by construction where q is not summed; spikes: Eq. (4), images replayed"
)

#: Text of a table is not broken up to this width.
_WORDS_WIDTH = 32

#: Width of the output where no terminal says how wide it is.
_PIPE_WIDTH = 120


class _PlainConsole(Console):
    """A console on which no text moves the cursor, rings or turns a line around."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield what is to be written; only the line feeds of the layout and rich's own control codes remain."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment("\n".join(map(shown, segment.text.split("\n"))), segment.style)


@dataclass(frozen=True)
class Shown:
    """What a command shows: tables and lines on the standard output, progress on the standard error.

    With `json` the standard output has one line, the results, and nothing else; with `quiet` there is nothing at all.
    """

    quiet: bool = False
    json: bool = False


_ALL = Shown()
_SHOWN: ContextVar[Shown] = ContextVar("shown", default=_ALL)


@contextmanager
def showing(shown: Shown) -> Iterator[None]:
    """Show no more than that within the block."""
    token = _SHOWN.set(shown)
    try:
        yield
    finally:
        _SHOWN.reset(token)


def new_console(asked: bool = False) -> Console:
    """Return a console on the current standard output; rich's own width for pipes would cut the tables.

    It says nothing with ``--quiet`` or ``--json``, unless what it shows is what was `asked` for.
    """
    mode = _SHOWN.get()
    return _console(sys.stdout, quiet=(mode.quiet or mode.json) and not asked)


def progress_console() -> Console:
    """Return a console on the current standard error, for what a command is at; it says nothing with ``--quiet``."""
    return _console(sys.stderr, quiet=_SHOWN.get().quiet)


def _console(file: IO[str], quiet: bool) -> Console:
    width = None if file.isatty() else _PIPE_WIDTH
    return _PlainConsole(file=file, highlight=False, markup=False, emoji=False, width=width, quiet=quiet)


def show_json(results: Mapping[str, Any]) -> None:
    """Write results as one line of JSON, where that was asked for; what is no number there is null."""
    if _SHOWN.get().json:
        sys.stdout.write(json.dumps(_plain(results), allow_nan=False, ensure_ascii=True) + "\n")


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)


def frame_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row of a table as a mapping each, for `show_json`."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def heading(title: str, note: str = "") -> Text:
    """Return a line in bold with a blank line above, and a note behind it."""
    return Text.assemble("\n", (shown(title), "bold"), f" ({note})" if note else "")


def table(rows: Sequence[Mapping[str, object]], text_columns: Sequence[str] = ()) -> Table:
    """Return a table with a row per mapping; columns are aligned right unless named in `text_columns`."""
    result = Table(header_style="bold", box=None, pad_edge=False)
    for column in rows[0]:
        is_text = column in text_columns
        # Words in front of a row stay in one line before the headings of numbers do.
        widest = max((len(shown(str(row[column]))) for row in rows), default=0) if is_text else 0
        result.add_column(
            shown(column),
            justify="left" if is_text else "right",
            overflow="fold",
            no_wrap=0 < widest <= _WORDS_WIDTH,
        )
    for row in rows:
        result.add_row(*(cell if isinstance(cell, Text) else Text(shown(str(cell))) for cell in row.values()))
    return result


def megabytes(n_bytes: int) -> str:
    """Return a number of bytes in MB."""
    return f"{n_bytes / 1e6:.1f} MB"


def verification_rows(report: pd.DataFrame) -> list[Mapping[str, object]]:
    """Return a row per population of the report of `brian_snn.verify`: the largest residual charge by equation."""
    rows: list[Mapping[str, object]] = []
    equations = dict.fromkeys([*EQUATIONS, *report["equation"]])
    for population, group in report.groupby("population", sort=False):
        cells = {str(row["equation"]): _residual(row) for _, row in group.iterrows()}
        neurons = f"{int(group['neurons'].max()):,}"
        n_replayed, n_images = analysis_verdict.replayed(group)
        rows.append(
            {"population": population, "neurons x images": neurons}
            | {e: cells.get(e, Text("-")) for e in equations}
            | {"replayed": f"{n_replayed:,} of {n_images:,}"}
        )
    return rows


def verdict(report: pd.DataFrame) -> Text:
    """Return what a report comes to as one line, green if all holds and red if anything fails."""
    return Text(analysis_verdict.verdict(report), style="bold green" if analysis_verdict.holds(report) else "bold red")


def _residual(row: pd.Series) -> Text:
    """Return one residual: a dash where the equation does not apply, red where it fails."""
    if not row["holds"]:
        return Text(f"{row['max_residual_charge']:.3g}", style="bold red")
    if not row["applicable"]:
        return Text("-", style="dim")
    residual = float(row["max_residual_charge"])
    return Text("0" if residual == 0 else f"{residual:.3g}", style="green")


class _Seconds(ProgressColumn):
    """The time of a stage: the one measured, once it is known, otherwise the time since its start."""

    def render(self, task: Task) -> Text:
        """Return the time in seconds."""
        seconds = task.fields.get("seconds")
        seconds = task.elapsed if seconds is None else seconds
        return Text("" if seconds is None else f"{seconds:6.1f} s")


class _Pace(ProgressColumn):
    """Images per second and the time left of a run; of a finished one the images per second alone."""

    def render(self, task: Task) -> Text:
        """Return the pace, nothing for other stages."""
        if not task.fields.get("paced"):
            return Text("")
        seconds = task.fields.get("seconds")
        if seconds:
            return Text(_pace(task.completed / seconds))
        if not task.speed:
            return Text("")
        left = "" if task.time_remaining is None else f", {timedelta(seconds=int(task.time_remaining))} left"
        return Text(f"{_pace(task.speed)}{left}")


def _pace(per_second: float) -> str:
    """Return a rate in the unit in which it is not below 1."""
    for unit, seconds in (("second", 1), ("minute", 60)):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:.0f} a {unit}"
    return f"{per_second * 3600:.0f} an hour"


class Simulation:
    """The two bars of a simulation: its compilation, counted in files, and its run, counted in images.

    `anything_ran` is False as long as no image was simulated; for good, if all of them had been in an earlier call.
    `compiled` is True as soon as a file was; a program that comes from the cache has no bar for that.
    """

    def __init__(self, progress: Progress, name: str, n_images: int) -> None:
        self._progress, self._name = progress, shown(name)
        self.anything_ran = self.compiled = False
        self._compile = progress.add_task(f"prepare, {self._name}", total=None)
        self._run = progress.add_task(f"run, {self._name}", total=n_images, start=False, paced=True)

    @property
    def callbacks(self) -> dict[str, Any]:
        """What shows the progress, by the names of the options of `brian_snn.simulate`."""
        return {"progress": self.ran, "build_progress": self.built}

    def built(self, n_done: int, n_total: int) -> None:
        """Show how many files are compiled."""
        self.compiled = True
        self._progress.update(self._compile, description=f"compile, {self._name}", completed=n_done, total=n_total)

    def ran(self, n_done: int, n_total: int) -> None:
        """Show how many images are done."""
        self.anything_ran = True
        self._progress.stop_task(self._compile)
        self._progress.start_task(self._run)
        self._progress.update(self._run, completed=n_done, total=n_total)

    def finish(self, timings_s: Mapping[str, float], one_line: bool = False) -> None:
        """Fill both bars and show the measured times; in one line without that of the compilation."""
        self._progress.update(self._compile, visible=self.compiled and not one_line)
        _finish(self._progress, self._compile, timings_s.get("compile", 0.0))
        _finish(self._progress, self._run, timings_s.get("run", 0.0))

    def finish_complete(self) -> None:
        """Say that all images were done before: nothing was compiled, nothing ran, and no time is shown."""
        self._progress.update(self._compile, visible=False)
        self._progress.update(self._run, description=f"complete already, {self._name}")
        _finish(self._progress, self._run, 0.0)


class Stages:
    """Progress bars on the standard error, one line per stage, each with its time."""

    def __init__(self, console: Console | None = None) -> None:
        name = TextColumn("{task.description:<32}", markup=False)
        columns = (name, BarColumn(30), MofNCompleteColumn(), _Seconds(), _Pace())
        self._progress = Progress(*columns, console=console or progress_console())

    def __enter__(self) -> Stages:
        """Begin to show the stages."""
        self._progress.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Leave the stages as they are; in a file that the standard error goes to, an error stands by itself."""
        if kind is None or self._progress.console.is_terminal:
            self._progress.stop()
            return
        self._progress.live.transient = True
        self._progress.live.stop()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show one stage of unknown length while the block runs."""
        task = self._progress.add_task(shown(name), total=None)
        start = time.perf_counter()
        yield
        _finish(self._progress, task, time.perf_counter() - start)

    def simulation(self, name: str, n_images: int) -> Simulation:
        """Show the two stages of a simulation."""
        return Simulation(self._progress, name, n_images)


def _finish(progress: Progress, task: TaskID, seconds: float) -> None:
    """Fill a bar and fix its time."""
    progress.stop_task(task)
    total = progress.tasks[task].total or 1
    progress.update(task, total=total, completed=total, seconds=seconds)
