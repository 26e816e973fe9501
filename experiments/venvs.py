"""A virtual environment for each group of peers, made by pip; one that cannot be made is reported with pip's reason."""

from __future__ import annotations

import json
import logging
import subprocess
import venv
from pathlib import Path
from typing import Any

logger = logging.getLogger("experiments")

#: Written last, so that a folder without it is an environment that was not finished.
RECIPE = "recipe.json"


class AbsentError(Exception):
    """What an experiment needs is not here; the message says what and why."""


class Environments:
    """All environments in one folder, each made when it is first asked for.

    Parameters
    ----------
    folder : Path
        Holds a folder an environment.
    recipes : dict
        By name: ``install``, lists of pip's arguments, one call after the other; ``check``, modules that must import.
    """

    def __init__(self, folder: Path, recipes: dict[str, dict[str, Any]]) -> None:
        """Keep the recipes."""
        self.folder, self.recipes = folder, recipes
        self._failed: dict[str, AbsentError] = {}

    def python_of(self, name: str) -> Path:
        """Return the Python of an environment, made now unless it was made before from the same recipe.

        Raises
        ------
        AbsentError
            If pip fails, or a module does not import; with what was said.
        """
        if name in self._failed:
            raise self._failed[name]
        home, text = self.folder.resolve() / name, json.dumps(self.recipes[name])
        if not (home / RECIPE).exists() or (home / RECIPE).read_text("utf-8") != text:
            try:
                self._make(name, home)
            except AbsentError as error:
                self._failed[name] = error
                raise
            (home / RECIPE).write_text(text, "utf-8")
        return home / "bin" / "python"

    def _make(self, name: str, home: Path) -> None:
        logger.info("installing %s in %s", name, home)
        venv.create(home, with_pip=True, clear=True)
        python = str(home / "bin" / "python")
        for arguments in self.recipes[name]["install"]:
            _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments], name)
        for module in self.recipes[name]["check"]:
            _run([python, "-c", f"import {module}"], name)


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise AbsentError(f"environment {name!r} could not be made: {last_words(done.stderr)}")


def last_words(text: str) -> str:
    """Return the line that tells why a program stopped: pip's first error, or the last line of a traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("WARNING")]
    return next((line for line in lines if line.startswith("ERROR: ")), lines[-1] if lines else "nothing was said")
