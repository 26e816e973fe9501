"""Find the C++ compiler and compile a generated project with it.

Brian2's own makefile parses the same headers again for each of the dozens of small files of a project. Here those of
the standard library are precompiled once in a process, which makes a file several times cheaper, and the files are
compiled side by side.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from brian_snn.errors import CompilerError
from brian_snn.limits import starting
from brian_snn.processors import usable_processors

# No -ffast-math: sums are exact in any order, but comparisons and rounding must stay those of IEEE 754.
FLAGS = ("-w", "-O3", "-march=native", "-std=c++11", "-pthread", "-I.")

# Set-up code that runs once. With a hundred layers Brian2's objects.cpp has 30,000 lines, a minute of work for an
# optimiser and seven seconds without. The pragma leaves the precompiled headers valid, which -O0 would not.
_COLD = ("objects.cpp", "main.cpp", "run.cpp", "synapses_classes.cpp")
_COLD_HEADER = """
#if defined(__clang__)
#pragma clang optimize off
#else
#pragma GCC optimize("O0")
#endif
"""

# What nearly every file of a project includes.
_STANDARD_HEADER = "\n".join(
    f"#include <{name}>"
    for name in (
        *("algorithm", "climits", "cmath", "csignal", "cstdint", "cstdlib", "cstring", "ctime", "fstream", "iostream"),
        *("map", "numeric", "queue", "random", "set", "string", "tuple", "utility", "vector"),
    )
)

Progress = Callable[[int, int], None]

#: The first words of every command: the path of a compiler, or of what runs it, and options for it.
Compiler = tuple[str, ...]


def find_compiler() -> Compiler:
    """Return the C++ compiler: ``$CXX``, which may be several words such as ``ccache g++``, else g++, else clang++.

    Raises
    ------
    CompilerError
        If there is none; the message says how to get one.
    """
    candidates = [_words_of_cxx()] if os.environ.get("CXX", "").strip() else [["g++"], ["clang++"]]
    for program, *options in candidates:
        path = shutil.which(program)
        if path:
            return path, *options
    raise CompilerError(
        f"no C++ compiler found (looked for {', '.join(map(shlex.join, candidates))}). "
        "Install one (Debian: apt install g++; macOS: xcode-select --install; conda: conda install cxx-compiler) "
        "or simulate with backend='runtime', without one."
    )


def _words_of_cxx() -> list[str]:
    """Split ``$CXX`` as the shell of a makefile does."""
    try:
        return shlex.split(os.environ["CXX"])
    except ValueError as error:
        raise CompilerError(f"CXX is {os.environ['CXX']!r}: {error}; it must be words of a command.") from error


@functools.lru_cache(maxsize=8)
def compiler_identity(compiler: Compiler) -> str:
    """Return what the compiler says of itself and of this processor; builds are shared only where it is the same."""
    command = [*compiler, *FLAGS, "-dM", "-E", "-x", "c++", os.devnull]
    with starting("the C++ compiler"):
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CompilerError(f"the C++ compiler {shlex.join(compiler)} does not run: {_last_lines(done.stderr)}")
    return done.stdout


#: The precompiled headers of this process by their compiler, in files without a name, which no process leaves behind.
_HEADERS: dict[Compiler, BinaryIO] = {}

#: Where they lie in a project while it is compiled.
_HEADER = Path("headers", "standard.h")


def place_headers(folder: Path, compiler: Compiler) -> None:
    """Put the headers of the standard library, precompiled, into the folder of a project, unless they are there.

    Raises
    ------
    CompilerError
        If the compiler fails.
    """
    header, precompiled = folder / _HEADER, folder / f"{_HEADER}.gch"
    if precompiled.exists():
        return
    header.parent.mkdir()
    header.write_text(_STANDARD_HEADER, "utf-8")
    if compiler in _HEADERS:
        _copy(_HEADERS[compiler], precompiled)
        return
    _run([*compiler, *FLAGS, "-x", "c++-header", str(_HEADER), "-o", f"{_HEADER}.gch"], folder)
    # Without room for it the next project makes its own.
    with suppress(OSError), precompiled.open("rb") as made, ExitStack() as unless_kept:
        kept = unless_kept.enter_context(tempfile.TemporaryFile())
        shutil.copyfileobj(made, kept)
        kept.flush()
        unless_kept.pop_all()
        _HEADERS[compiler] = kept


def _copy(kept: BinaryIO, path: Path) -> None:
    """Copy a file from its start, wherever another process that shares it stands in it."""
    position = 0
    with path.open("wb") as file:
        while piece := os.pread(kept.fileno(), 2**20, position):
            file.write(piece)
            position += len(piece)


def compile_project(folder: Path, compiler: Compiler, progress: Progress | None = None) -> None:
    """Compile all sources below `folder` into ``folder/main`` and delete the intermediate files.

    Raises
    ------
    CompilerError
        With the last lines of the compiler's message.
    """
    place_headers(folder, compiler)
    cold = _HEADER.with_name("cold.h")
    (folder / cold).write_text(_COLD_HEADER, "utf-8")
    # The largest first: the last file to finish should not be the longest.
    paths = sorted(folder.rglob("*.cpp"), key=lambda path: (-path.stat().st_size, path))
    sources = [str(path.relative_to(folder)) for path in paths]

    def compile_one(source: str) -> str:
        target = source[: -len(".cpp")] + ".o"
        headers = ["-include", str(_HEADER), *(["-include", str(cold)] if source in _COLD else [])]
        _run([*compiler, *FLAGS, *headers, "-c", source, "-o", target], folder)
        return target

    targets, pool = [], ThreadPoolExecutor(usable_processors())
    try:
        with starting("a thread"):
            compiled = pool.map(compile_one, sources)
        for target in compiled:
            targets.append(target)
            if progress:
                progress(len(targets), len(sources))
    finally:
        # After an error no further file is compiled.
        pool.shutdown(cancel_futures=True)
    _run([*compiler, *targets, "-pthread", "-o", "main"], folder)
    for name in targets:
        (folder / name).unlink()
    shutil.rmtree(folder / _HEADER.parent)


def _run(command: list[str], folder: Path) -> None:
    """Run one compiler command."""
    # Its own temporary files go with the folder if it is killed.
    environment = os.environ | {"TMPDIR": str(folder)}
    with starting("the C++ compiler"):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise CompilerError(f"{Path(command[0]).name} failed on {command[-3]}: {_last_lines(done.stderr)}")


def _last_lines(text: str, n_lines: int = 5) -> str:
    """Return the end of a compiler's message."""
    return "\n".join(text.strip().splitlines()[-n_lines:]) or "no message"
