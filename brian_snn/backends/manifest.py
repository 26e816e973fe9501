"""The manifest of a build: a hash of every file that its binary reads, the binary's own too.

Brian2's program says nothing when an array of connectivity is shorter than it should be, and goes on with other spikes.
So a build is used only if each of its files is what it was when the build was made, and nobody else can have made it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import brian2

from brian_snn.backends.trust import doubts
from brian_snn.files import flush
from brian_snn.reading import sha256_of
from brian_snn.simulation.topology import Topology

MANIFEST = "manifest.json"

#: What a build needs at run time: the binary, and the connectivity that it reads.
NEEDED = ("main", "static_arrays/*")

#: Version of the manifest; a build with another one is made again.
_FORMAT = 3


@dataclass(frozen=True)
class Manifest:
    """Version of the format and of Brian2, the topology in numbers, and the SHA-256 of each file by its path."""

    format: int
    brian2: str
    layers: int
    neurons: int
    sha256: dict[str, str]


def write_manifest(folder: Path, topology: Topology) -> None:
    """Write the manifest of a build that is complete, and see to it that a power cut leaves it so."""
    paths = [path for pattern in NEEDED for path in sorted(folder.glob(pattern))]
    digests = {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}
    neurons = sum(layer.size for layer in topology.layers)
    manifest = Manifest(_FORMAT, brian2.__version__, len(topology.layers), neurons, digests)
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest)), "utf-8")
    for path in (*paths, folder / MANIFEST, folder / "static_arrays", folder):
        flush(path)


def whole_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a build if it can be run, is this user's, and every file is as it was made; else None."""
    try:
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text("utf-8")))
        whole = (
            manifest.format == _FORMAT
            and os.access(folder / "main", os.X_OK)
            and not build_doubts(folder)
            and all(sha256_of(folder / name) == digest for name, digest in manifest.sha256.items())
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return manifest if whole else None


def build_doubts(folder: Path) -> str:
    """Return what of a build others could have written, and why, in words; empty if they could not."""
    arrays = folder / "static_arrays"
    return doubts([folder, folder / MANIFEST, folder / "main", arrays, *sorted(arrays.iterdir())])
