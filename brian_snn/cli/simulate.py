"""``brian-snn simulate``: a network and images become a folder of results, which grows shard by shard."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brian_snn.cli.options import (
    DATA_HELP,
    SCHEDULER_HELP,
    add_any_range,
    add_output,
    add_settings_file,
    add_threads,
    add_workers,
)
from brian_snn.errors import DataError, Interrupted
from brian_snn.setting_options import LEFT_OPEN, add_knobs, add_settings, fill_from_network, record_from, settings_from
from brian_snn.settings import Execution, Recording


def add_options(parser: ArgumentParser) -> None:
    """Add what is simulated, how, what is kept, and where."""
    parser.add_argument("network", type=Path, help="file that brian-snn convert wrote")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help=DATA_HELP.format("images to show"))
    add_any_range(parser)
    add_settings_file(parser)
    add_settings(parser, **dict.fromkeys(LEFT_OPEN))
    add_workers(parser, default=1)
    add_threads(parser)
    add_knobs(parser, Recording, ("record_spikes", "record_potentials", "record_counts", "checkpoints"))
    add_knobs(parser, Execution, ("shard_size",))
    parser.add_argument("--scheduler", metavar="ADDRESS", help=SCHEDULER_HELP)
    parser.add_argument(
        "--resume",
        action=BooleanOptionalAction,
        default=True,
        help="go on where the same command was interrupted; an error if the folder holds another simulation",
    )
    add_output(parser, "folder")


def run(arguments: Namespace) -> int:
    """Simulate a saved network on a data file and show what came out."""
    import brian_snn
    from brian_snn.analysis.summary import accuracy_rows, activity_rows, result_numbers
    from brian_snn.cli.console import Stages, new_console, show_json, table
    from brian_snn.datasets import first_images, load_images
    from brian_snn.events import has_steps
    from brian_snn.frontends.table import is_model_file
    from brian_snn.network.output import answer_of
    from brian_snn.running.executors import connect

    console = new_console()
    folder = arguments.output
    _check_output(folder, arguments.force)
    if is_model_file(arguments.network):
        raise DataError(
            f"{arguments.network}: is a trained model and no network yet; convert it first, with `brian-snn convert "
            f"{arguments.network} --data IMAGES -o network.npz`."
        )
    network = brian_snn.load_network(arguments.network)
    answer = answer_of(network)
    loaded = load_images(arguments.data, network.input_shape, answer=answer, frames=True, inputs=network.inputs)
    data = first_images(loaded, arguments.images)
    if has_steps(data.images, network.input_shape):
        arguments.steps = data.images.shape[1] if arguments.steps is None else arguments.steps
        arguments.input_coding = "frames"
    fill_from_network(arguments, network.simulation)
    settings = settings_from(arguments)
    executor = connect(arguments.scheduler) if arguments.scheduler else None
    names = ("resume", "any_range", "workers", "threads", "shard_size")
    options = {name: getattr(arguments, name) for name in names}
    options |= vars(record_from(Recording, arguments))
    options |= {"output": folder, "replace": arguments.force, "labels": data.labels, "executor": executor}
    with Stages() as stages, _resumable(folder, arguments.force):
        bars = stages.simulation(f"reset: {settings.reset}", len(data.images))
        result = brian_snn.simulate(network, data.images, settings, **options, **bars.callbacks)
        if bars.anything_ran:
            bars.finish(result.timings_s)
        else:
            bars.finish_complete()
    console.print(table([*accuracy_rows(result, data.labels), *activity_rows(result)], ("",)))
    if bars.compiled and (kept := [*arguments.record_spikes, *arguments.record_potentials]):
        console.print(f"compiled for what is recorded ({', '.join(kept)}): other recordings are another program")
    show_json(result_numbers(result, data.labels) | {"output": folder, "simulated": bars.anything_ran})
    console.print(f"wrote {folder}" if bars.anything_ran else f"{folder} was complete: nothing was simulated")
    return 0


def _check_output(folder: Path, force: bool) -> None:
    """Raise early if the folder cannot be made, or holds neither a result nor, with ``--force``, that and no more."""
    from brian_snn.files import check_target
    from brian_snn.results.own_folder import check_replaceable
    from brian_snn.results.store import DESCRIPTION, read_description

    if not folder.is_dir():
        check_target(folder, "folder")
    elif force or not (folder / DESCRIPTION).is_file():
        check_replaceable(folder)
    else:
        read_description(folder)


@contextmanager
def _resumable(folder: Path, force: bool) -> Iterator[None]:
    """Say with Ctrl-C what of the folder is there to go on with, or that it holds what it held."""
    from brian_snn.results.store import SHARDS

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
    from brian_snn.results.store import DESCRIPTION

    try:
        found = (folder / DESCRIPTION).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
