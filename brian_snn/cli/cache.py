"""``brian-snn cache``: the compiled networks that are kept for the next run."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brian_snn.backends.build_cache import CachedBuild


def add_options(parser: ArgumentParser) -> None:
    """Add what is done."""
    parser.add_argument("action", choices=("list", "clear"), help="list: show the builds; clear: delete them")


def run(arguments: Namespace) -> int:
    """Show the compiled networks in the cache, or delete them."""
    from brian_snn.backends.build_cache import cache_folder, clear_builds, list_builds
    from brian_snn.cli.console import megabytes, new_console, show_json, table

    console, folder = new_console(), cache_folder()
    if arguments.action == "clear":
        deleted, busy = clear_builds()
        size = sum(build.size_bytes for build in deleted)
        console.print(f"deleted {len(deleted)} builds, {megabytes(size)}, in {folder}")
        for build in busy:
            console.print(f"kept {build.folder.name}: it is being made or used right now")
        show_json({"folder": folder, "deleted": [asdict(build) for build in deleted]})
        return 0
    builds = list_builds()
    if builds:
        rows = [_row(build, megabytes(build.size_bytes)) for build in builds]
        console.print(table(rows, ("build", "last used", "Brian2")))
    console.print(f"{len(builds)} builds, {megabytes(sum(build.size_bytes for build in builds))}, in {folder}")
    show_json({"folder": folder, "builds": [asdict(build) for build in builds]})
    return 0


def _row(build: CachedBuild, size: str) -> dict[str, object]:
    """Return the row of a build."""
    return {
        "build": build.folder.name[:12],
        "layers": build.layers if build.complete else "unusable",
        "neurons": f"{build.neurons:,}" if build.complete else "",
        "size": size,
        "Brian2": build.brian2,
        "last used": f"{build.last_used:%Y-%m-%d %H:%M}",
    }
