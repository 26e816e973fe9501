"""The code generator: which code its builds are keyed by, and whose files it runs."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from brian_snn.backends import build_cache, generator
from brian_snn.backends.build_cache import code_digest
from brian_snn.backends.generator import generate_sources
from tests.simulation_cases import LAYOUT


def modules_behind(name, root):
    """Return the files of this package that a module imports, itself and those that they import among them."""
    pending, found = [name], {}
    while pending:
        name = pending.pop()
        path = root.joinpath(*name.split("."))
        path = next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)
        if path is None or name in found:
            continue
        found[name] = path
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in getattr(node, "names", ()) if isinstance(alias, ast.alias)]
            module = getattr(node, "module", None)
            pending += names if module is None else [module, *(f"{module}.{name}" for name in names)]
    return set(found.values())


def test_every_module_behind_the_generated_code_is_in_the_key(monkeypatch, tmp_path):
    """Geometry, whose shapes are compiled in, is one; so are all that any of them imports, now and later."""
    package = Path(build_cache.__file__).parent.parent
    modules = modules_behind("brian_snn.backends.codegen", package.parent)
    assert {package / "network" / "geometry.py", package / "neurons" / "integrator.py"} <= modules
    copy = shutil.copytree(package, tmp_path / "brian_snn", ignore=shutil.ignore_patterns("data", "__pycache__"))
    monkeypatch.setattr(build_cache, "__file__", str(copy / "backends" / "build_cache.py"))
    digests = {code_digest.__wrapped__()}
    for number, module in enumerate(modules, 2):
        with (copy / module.relative_to(package)).open("a") as file:
            file.write("\n")
        digests.add(code_digest.__wrapped__())
        assert len(digests) == number, module


#: Names of modules of Python and of what this program imports, as a user may call a script.
HOSTILE = ("random", "json", "typing", "signal", "logging", "pickle", "numpy", "jinja2", "brian2", "brian_snn")


@pytest.fixture
def hostile(tmp_path):
    """Return a folder of modules of these names that leave a note when they are run."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in HOSTILE:
        (folder / f"{name}.py").write_text(
            f"open({str(tmp_path / 'run.txt')!r}, 'a').write({name!r})\nraise SystemExit(7)"
        )
    (folder / "brian_preferences").write_text(f"x = open({str(tmp_path / 'run.txt')!r}, 'a').write('preferences')\n")
    yield folder
    assert not (tmp_path / "run.txt").exists()


def test_the_code_generator_runs_no_file_of_the_working_folder(hostile, tmp_path, monkeypatch):
    monkeypatch.chdir(hostile)
    (tmp_path / "build").mkdir()
    generate_sources(LAYOUT, tmp_path / "build")
    assert (tmp_path / "build" / "main.cpp").is_file()


def test_the_code_generator_is_that_of_this_package_wherever_it_came_from(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    script = generator._GENERATOR[2].replace("main(sys.argv[2])", "print(main.__globals__['__file__'])")
    command = [sys.executable, *generator._GENERATOR[:2], script, generator._GENERATOR[3], str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert found == str(Path(build_cache.__file__).with_name("codegen.py"))


def test_modules_that_the_user_put_on_the_path_are_found_by_the_code_generator(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(f"open({str(tmp_path / 'seen.txt')!r}, 'w').close()")
    (tmp_path / "build").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    generate_sources(LAYOUT, tmp_path / "build")
    assert (tmp_path / "seen.txt").exists()


def test_the_command_line_runs_no_file_of_the_working_folder(hostile):
    root = Path(build_cache.__file__).parent.parent.parent
    # That which holds the package comes behind the working folder, in which Python looks for it first.
    (hostile / "brian_snn.py").unlink()
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "brian_snn", "cache", "list"]
    done = subprocess.run(command, cwd=hostile, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
