"""The version of the package, written here alone, and those of others."""

from __future__ import annotations

from collections.abc import Iterable

__version__ = "0.1.0"


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of packages by name, without those that are not there."""
    # What it imports may lie in the working folder, where `python -m brian_snn` looks until the package is there.
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
