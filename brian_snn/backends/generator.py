"""Start the code generator, `brian_snn.backends.codegen`, in a process of its own."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Literal

from brian_snn.errors import CompilerError
from brian_snn.limits import starting
from brian_snn.simulation.topology import Topology

#: What programs there are: see `generate_sources`.
Form = Literal["shards", "take_away"]

#: Runs the code generator of this very package, wherever it was imported from. With ``-P`` Python leaves the working
#: folder alone: a file of the user's there, such as ``random.py``, is no module of the library. Brian2 evaluates a
#: ``brian_preferences`` there as Python code, so it is imported in the new and empty folder of the build.
_GENERATOR = (
    "-P",
    "-c",
    """
import os
import sys

os.chdir(sys.argv[2])
# Brian2 takes names of it along where it is there, which takes as long as to generate the code of a small network.
sys.modules["pylab"] = None
from importlib.util import module_from_spec, spec_from_file_location

spec = spec_from_file_location("brian_snn", sys.argv[1])
sys.modules["brian_snn"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["brian_snn"])
from brian_snn.quiet_brian import import_brian2

import_brian2()
from brian_snn.backends.codegen import main

main(sys.argv[2])
""",
    str(Path(__file__).absolute().parent.parent / "__init__.py"),
)


def generate_sources(topology: Topology, folder: Path, form: Form = "shards") -> None:
    """Write the C++ sources of a topology; nothing is compiled.

    Parameters
    ----------
    folder : Path
        An empty one.
    form : str
        Of the program: ``shards`` is run from Python and takes shards of images, ``take_away`` runs by itself
        (`brian_snn.backends.project`).

    Raises
    ------
    CompilerError
        If Brian2 fails; with its last words.
    OSError
        If the disk is full.
    """
    command = [sys.executable, *_GENERATOR, str(folder)]
    # Brian2 tries the compiler's flags in the temporary folder; what it leaves if it is killed goes with this one.
    environment = os.environ | {"TMPDIR": str(folder.absolute())}
    with starting("the code generator"):
        done = subprocess.run(command, input=pickle.dumps((topology, form)), env=environment, capture_output=True)
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        if "No space left" in message[-1]:
            raise OSError(28, "No space left on device")
        raise CompilerError(f"Brian2 could not generate the C++ code: {message[-1]}")
