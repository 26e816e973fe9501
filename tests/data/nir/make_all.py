"""Make the recorded files and runs of this folder anew: ``python -m tests.data.nir.make_all VENVS FOLDER``.

Versions of nir exclude each other, so there are two environments, which pip makes in VENVS when they are first asked
for; `make_files.py` runs in each, for the frameworks that work with it, and writes into FOLDER.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import nir_files

HERE = Path(__file__).resolve().parent
EXPERIMENTS = HERE.parents[2] / "experiments"

_TORCH = ["torch==2.13.0", "numpy", "scipy", "h5py", "loguru<1", "packaging", "tqdm", "requests", "matplotlib", "pbr"]

#: By the name of an environment: how it is made, and which frameworks run in it.
RECIPES: dict[str, dict[str, Any]] = {
    "nir_1_0_8": {
        "install": [
            [*_TORCH, "setuptools", "nir==1.0.8", "nirtorch==2.6"],
            ["--no-deps", "spikingjelly==2.0.0", "snntorch==1.0.0"],
        ],
        "check": ["nir", "spikingjelly.activation_based.neuron", "snntorch"],
    },
    "nir_1_0_4": {
        "install": [
            [*_TORCH, "setuptools", "nir==1.0.4", "nirtorch==1.0"],
            ["--no-deps", "sinabs==3.1.3", "norse==1.1.0"],
        ],
        "check": ["nir", "sinabs", "norse.torch"],
    },
}
FRAMEWORKS = {"nir_1_0_8": ("spikingjelly", "snntorch"), "nir_1_0_4": ("sinabs", "norse")}


def main(venvs: Path, folder: Path) -> None:
    """Write files of ours, then let every framework read them, run, and write its own."""
    sys.path.append(str(EXPERIMENTS))
    from venvs import Environments

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    environments = Environments(venvs, RECIPES)
    folder.mkdir(parents=True, exist_ok=True)
    nir_files.main(folder / "ours")
    for name, frameworks in FRAMEWORKS.items():
        command = [environments.python_of(name), HERE / "make_files.py", folder / "ours", folder, *frameworks]
        subprocess.run([str(word) for word in command], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
