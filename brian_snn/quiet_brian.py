"""Import Brian2 without the traces that it leaves by default.

On import Brian2 opens a log in the temporary folder, copies the program that runs to it, and tells whoever meets an
error that nobody caught to report it to Brian2. A process that is killed leaves both files, and an error of ours is
none of Brian2's. Who imports Brian2 before us keeps all that, and so does who asks for it in a file of preferences.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_LOGGER = "brian2.utils.logger"


class _QuietLogger(MetaPathFinder):
    """Finds the module that registers Brian2's preferences of logging, and sets two of them before they are used."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the specification of the one module, whose loader does so."""
        spec = PathFinder.find_spec(name, path, target) if name == _LOGGER else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            # Files of preferences are read after this.
            for preference in ("file_log", "save_script"):
                module.prefs[f"logging.{preference}"] = False

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def import_brian2() -> None:
    """Import Brian2 if it is not imported yet, without a log, a copy of the program, or a word of its own on errors."""
    if "brian2" in sys.modules:
        return
    finder, hook = _QuietLogger(), sys.excepthook
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module("brian2")
    finally:
        sys.meta_path.remove(finder)
        sys.excepthook = hook
