"""The direction of the house: who may import whom, read from the source of every module."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import brian_snn

PACKAGE = Path(brian_snn.__file__).parent

#: For each package those that it may import from besides itself; ``ground`` is the modules that lie in none.
_BELOW_CONVERSION = {"ground", "network", "frontends"}
_BELOW_RUNNING = {"ground", "network", "neurons", "results", "simulation", "backends"}
_BELOW_ANALYSIS = {"ground", "network", "frontends", "neurons", "results"}
_BELOW_CALIBRATION = _BELOW_CONVERSION | _BELOW_RUNNING | {"conversion", "running", "analysis"}
_BELOW_STUDIES = _BELOW_CALIBRATION | {"calibration", "plotting"}
MAY_IMPORT = {
    "ground": set(),
    "network": {"ground"},
    "frontends": {"ground", "network"},
    "conversion": _BELOW_CONVERSION,
    "exchange": _BELOW_CONVERSION | {"conversion"},
    "neurons": {"ground", "network"},
    "results": {"ground", "network", "neurons"},
    "simulation": {"ground", "network", "neurons", "results"},
    "backends": {"ground", "network", "neurons", "results", "simulation"},
    "running": _BELOW_RUNNING,
    "analysis": _BELOW_ANALYSIS,
    "plotting": _BELOW_ANALYSIS | {"analysis"},
    "referee": _BELOW_ANALYSIS | {"analysis", "exchange", "conversion"},
    "calibration": _BELOW_CALIBRATION,
    "studies": _BELOW_STUDIES,
    "report": _BELOW_STUDIES,
    "tuning": _BELOW_STUDIES,
    "cli": _BELOW_STUDIES | {"studies", "report", "tuning", "exchange", "referee"},
}

#: Libraries, and where they may be imported. Brian2's units may be imported anywhere.
HOMES = {
    "keras": ("frontends/keras",),
    "tensorflow": ("frontends/keras",),
    "h5py": ("frontends/keras", "exchange", "referee/run_nirdata.py", "hdf5.py"),
    "onnx": ("frontends/onnx",),
    "onnxruntime": ("frontends/onnx",),
    "brian2": ("backends", "quiet_brian.py"),
    "matplotlib": ("plotting",),
    "distributed": ("running", "cli"),
    "optuna": ("tuning",),
}

#: The door of the package opens on all rooms, lazily.
_DOORS = {"__init__.py", "__main__.py"}


def modules() -> dict[str, Path]:
    """Return all modules of the package by name."""
    return {
        ".".join((PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }


def imports(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Return what a module imports, anywhere in it: a module's name, and the names that are taken from it."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative path"
            found.append((node.module or "", tuple(alias.name for alias in node.names)))
    return found


def own_imports(path: Path) -> set[str]:
    """Return the modules of the package that a module imports."""
    known, found = modules(), set()
    for module, names in imports(path):
        if module.split(".")[0] == PACKAGE.name:
            inner = {f"{module}.{name}" for name in names if f"{module}.{name}" in known}
            found |= inner
            if not inner or len(inner) < len(names):
                found.add(module)
    return found


def room(name: str) -> str:
    """Return the package that a module lies in, or ``ground``."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else "ground"


ROOMS = {name: path for name, path in modules().items() if path.relative_to(PACKAGE).as_posix() not in _DOORS}


def test_every_folder_has_its_place_in_the_order():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert folders | {"ground"} == set(MAY_IMPORT)


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_a_module_imports_only_from_below(name):
    above = {other for other in own_imports(ROOMS[name]) if room(other) not in MAY_IMPORT[room(name)] | {room(name)}}
    assert above == set()


def test_no_modules_import_each_other_in_a_circle():
    waiting = {name: own_imports(path) for name, path in ROOMS.items()}
    # What imports nothing that is left goes; a circle stays.
    while free := {name for name, others in waiting.items() if not others & set(waiting)}:
        waiting = {name: others for name, others in waiting.items() if name not in free}
    assert {name: others & set(waiting) for name, others in waiting.items()} == {}


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_a_library_is_imported_at_its_home_only(name):
    place = ROOMS[name].relative_to(PACKAGE).as_posix()
    for module, names in imports(ROOMS[name]):
        library = module.split(".")[0]
        if library not in HOMES or _is_of_units(module, names):
            continue
        assert place.startswith(HOMES[library]), f"{place} imports {module}"


def _is_of_units(module: str, names: tuple[str, ...]) -> bool:
    """Whether an import is of Brian2's units alone."""
    units = {"Quantity", "second", "ms", "hertz", "Hz", "volt", "mV", "amp", "farad", "have_same_dimensions"}
    return module.startswith("brian2.units") or (module == "brian2" and bool(names) and set(names) <= units)


if __name__ == "__main__":
    for each, path in sorted(ROOMS.items()):
        for other in sorted(own_imports(path)):
            if room(other) not in MAY_IMPORT[room(each)] | {room(each)}:
                print(each, "->", other)
