"""Builds that travel: what another machine needs to run a compiled simulation without a compiler of its own.

A build uses every instruction of the processor that it was made for, so it goes only where the processor has them all.
"""

from __future__ import annotations

import io
import platform
import zipfile
from dataclasses import dataclass
from pathlib import Path

from brian_snn.simulation.manifest import MANIFEST, NEEDED


@dataclass(frozen=True)
class ShippedBuild:
    """A build as bytes.

    Parameters
    ----------
    key : str
        Name of its folder in the cache.
    system : str
        Operating system and kind of processor.
    features : frozenset of str
        Features of the processor that it was made for.
    archive : bytes
        A zip file of the binary and the arrays that it reads.
    """

    key: str
    system: str
    features: frozenset[str]
    archive: bytes

    def missing_features(self) -> str:
        """Return what this machine lacks to run it, in words; empty if it lacks nothing."""
        if self.system != system():
            return f"{self.system} (this is {system()})"
        return ", ".join(sorted(self.features - processor_features()))

    def unpack(self, folder: Path) -> None:
        """Write its files into an empty folder."""
        with zipfile.ZipFile(io.BytesIO(self.archive)) as archive:
            archive.extractall(folder)
        (folder / "results").mkdir(exist_ok=True)
        (folder / "main").chmod(0o755)


def pack(folder: Path) -> ShippedBuild:
    """Return the build in a folder of the cache of this machine."""
    buffer = io.BytesIO()
    files = [path for pattern in (MANIFEST, *NEEDED) for path in sorted(folder.glob(pattern)) if path.is_file()]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder).as_posix())
    return ShippedBuild(folder.name, system(), processor_features(), buffer.getvalue())


def system() -> str:
    """Return operating system and kind of processor, such as ``Linux x86_64``."""
    return f"{platform.system()} {platform.machine()}"


def processor_features() -> frozenset[str]:
    """Return the features of this machine's processor.

    Linux lists them. Elsewhere the name of the processor stands for all of them, so that a build goes only to its like.
    """
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            return frozenset(value.split())
    return frozenset({platform.processor() or "an unknown processor"})
