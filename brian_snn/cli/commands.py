"""What ``brian-snn convert``, ``simulate``, ``verify``, ``report`` and ``cache`` do.

Those that write check the output first, then work, show and write.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

import brian_snn
from brian_snn import load_network, load_result
from brian_snn.analysis.bounds import bounds
from brian_snn.analysis.dynamics import parse_replay
from brian_snn.analysis.summary import accuracy_rows, activity_rows, population_rows, projection_note
from brian_snn.analysis.verdict import holds
from brian_snn.analysis.verify import verify as verify_result
from brian_snn.backends.build_cache import CachedBuild, cache_folder, clear_builds, list_builds
from brian_snn.cli.console import RESIDUAL_NOTE, Stages, heading, new_console, table, verdict, verification_rows
from brian_snn.cli.options import FAILED
from brian_snn.conversion.convert import convert as convert_model
from brian_snn.datasets import first_images, load_images
from brian_snn.errors import Interrupted, SettingError
from brian_snn.files import check_target, staged_file
from brian_snn.network.output import answer_of
from brian_snn.results.own_folder import check_replaceable
from brian_snn.results.result import Result, choose_images
from brian_snn.results.store import DESCRIPTION, SHARDS, read_description
from brian_snn.running.executors import connect
from brian_snn.setting_options import record_from, settings_from
from brian_snn.settings import Recording


def convert(arguments: Namespace) -> int:
    """Convert a model file, show the populations and write the network."""
    console = new_console()
    check_target(arguments.output, "file", arguments.force)
    start = time.perf_counter()
    network = convert_model(
        arguments.model,
        arguments.data,
        arguments.percentile,
        arguments.normalisation,
        arguments.grid,
        arguments.until,
    )
    console.print(table(population_rows(network), ("layer", "kind")), projection_note(network), sep="\n")
    with staged_file(arguments.output) as path:
        network.save(path)
    console.print(f"\nconverted in {time.perf_counter() - start:.1f} s, wrote {arguments.output}")
    return 0


def simulate(arguments: Namespace) -> int:
    """Simulate a saved network on a data file shard by shard, show what came out; the result grows in the folder."""
    console, settings = new_console(), settings_from(arguments)
    folder = arguments.output
    _check_output(folder, arguments.force)
    network = load_network(arguments.network)
    data = first_images(load_images(arguments.data, network.input_shape, answer=answer_of(network)), arguments.images)
    executor = connect(arguments.scheduler) if arguments.scheduler else None
    with Stages(console) as stages, resumable(folder, arguments.force):
        bars = stages.simulation(f"reset: {settings.reset}", len(data.images))
        result = brian_snn.simulate(
            network,
            data.images,
            settings,
            output=folder,
            resume=arguments.resume,
            replace=arguments.force,
            labels=data.labels,
            any_range=arguments.any_range,
            executor=executor,
            workers=arguments.workers,
            shard_size=arguments.shard_size,
            **vars(record_from(Recording, arguments)),
            **bars.callbacks,
        )
        if bars.anything_ran:
            bars.finish(result.timings_s)
        else:
            bars.finish_complete()
    console.print(table([*accuracy_rows(result, data.labels), *activity_rows(result)], ("",)))
    console.print(f"wrote {folder}" if bars.anything_ran else f"{folder} was complete: nothing was simulated")
    return 0


def _check_output(folder: Path, force: bool) -> None:
    """Raise early if the folder cannot be made, or holds neither a result nor, with ``--force``, that and no more."""
    if not folder.is_dir():
        check_target(folder, "folder")
    elif force or not (folder / DESCRIPTION).is_file():
        check_replaceable(folder)
    else:
        read_description(folder)


@contextmanager
def resumable(folder: Path, force: bool) -> Iterator[None]:
    """Say with Ctrl-C what of the folder is there to go on with, or that it holds what it held."""
    before = _description_file(folder)
    try:
        yield
    except KeyboardInterrupt:
        if force and before is not None and _description_file(folder) == before:
            raise Interrupted(f"interrupted; {folder} holds the earlier result as before.") from None
        n_done = len(list((folder / SHARDS).glob("*.npz")))
        if not n_done:
            raise
        command = "the same command without --force" if force else "the same command"
        raise Interrupted(f"interrupted; {folder} keeps {n_done} shard(s), and {command} goes on.") from None


def _description_file(folder: Path) -> tuple[int, int] | None:
    """Return what tells the description of one result in a folder from that of another; None if there is none."""
    try:
        found = (folder / DESCRIPTION).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def verify(arguments: Namespace) -> int:
    """Verify a saved result, show the residuals, and return 1 if an equation does not hold."""
    console = new_console()
    result = load_result(arguments.result)
    report = verify_result(result, parse_replay(arguments.replay))
    title = heading("Largest residual charge", RESIDUAL_NOTE)
    console.print(title, table(verification_rows(report), ("population",)), verdict(report), sep="\n")
    if arguments.bounds is None:
        return 0 if holds(report) else FAILED
    proved = _prove_bounds(console, result, arguments.bounds)
    return 0 if holds(report) and proved else FAILED


def _prove_bounds(console: Console, result: Result, n_images: int) -> bool:
    """Show certified bounds of the rates of the first images beside the errors measured; return whether they hold."""
    if n_images < 1:
        raise SettingError(f"--bounds is {n_images}; it must be at least 1.")
    proved = bounds(choose_images(result, range(min(n_images, len(result.images)))))
    columns = ["bound", "measured", "tightness", "silent", "undecided"]
    rows = [{"population": row["population"]} | {c: f"{row[c]:.3g}" for c in columns} for _, row in proved.iterrows()]
    title = heading("Certified bounds on |r / r_max - a|", "proved without the simulation; silent, undecided: shares")
    console.print(title, table(rows, ("population",)), sep="\n")
    return bool(proved["holds"].all())


def report(arguments: Namespace) -> int:
    """Write the report of a saved result, and return 1 if an equation does not hold."""
    # Matplotlib takes a second to import, which no other command here needs.
    from brian_snn.report.gather import gather
    from brian_snn.report.page import compose, render

    console = new_console()
    check_target(arguments.output, "file", arguments.force)
    with Stages(console) as stages:
        with stages.stage("verify every neuron"):
            run = gather(arguments.result, arguments.model, parse_replay(arguments.replay))
        with stages.stage("explain and draw"):
            page = render(compose(run))
    with staged_file(arguments.output) as path:
        path.write_text(page, "utf-8")
    console.print(verdict(run.verification), f"wrote {arguments.output}, {_megabytes(len(page))}", sep="\n")
    return 0 if holds(run.verification) else FAILED


def cache(arguments: Namespace) -> int:
    """Show the compiled networks in the cache, or delete them."""
    console = new_console()
    folder = cache_folder()
    if arguments.action == "clear":
        deleted, busy = clear_builds()
        size = sum(build.size_bytes for build in deleted)
        console.print(f"deleted {len(deleted)} builds, {_megabytes(size)}, in {folder}")
        for build in busy:
            console.print(f"kept {build.folder.name}: it is being made or used right now")
        return 0
    builds = list_builds()
    if builds:
        console.print(table([_cache_row(build) for build in builds], ("build", "last used", "Brian2")))
    console.print(f"{len(builds)} builds, {_megabytes(sum(build.size_bytes for build in builds))}, in {folder}")
    return 0


def _cache_row(build: CachedBuild) -> dict[str, object]:
    """Return the row of a build."""
    return {
        "build": build.folder.name[:12],
        "layers": build.layers if build.complete else "unusable",
        "neurons": f"{build.neurons:,}" if build.complete else "",
        "size": _megabytes(build.size_bytes),
        "Brian2": build.brian2,
        "last used": f"{build.last_used:%Y-%m-%d %H:%M}",
    }


def _megabytes(n_bytes: int) -> str:
    """Return a number of bytes in MB."""
    return f"{n_bytes / 1e6:.1f} MB"
