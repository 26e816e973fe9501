"""`brian_snn.read_nir`: a network of another simulator, from its NIR file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from brian_snn.checks import real_number, whole_number
from brian_snn.conversion.fold import fold
from brian_snn.conversion.normalise import finest_grid, require_finite, round_to_grid
from brian_snn.conversion_settings import Conversion
from brian_snn.errors import ModelError, SettingError
from brian_snn.escaping import shown
from brian_snn.exchange.nir_file import NirGraph, NirNode, read_graph, topological
from brian_snn.exchange.nir_nodes import READERS, Build, Tensor, channels_last
from brian_snn.exchange.nir_time import Discretisation, InputGain, Time
from brian_snn.frontends.layer_graph import LayerGraph
from brian_snn.frontends.sizes import check_sizes
from brian_snn.network.network import Network
from brian_snn.reading import sha256_of
from brian_snn.settings import Reset
from brian_snn.version import __version__

#: From this version of `nir` on a neuron without v_reset has one of 0.
_RESETS_TO_ZERO = (1, 0, 6)

#: How many axes nodes take, that of the images not among them.
_TAKES = {"Affine": 1, "Linear": 1, "Conv1d": 2, "Conv2d": 3, "AvgPool2d": 3, "SumPool2d": 3}


def read_nir(
    path: str | Path,
    *,
    reset: Reset | None = None,
    dt: float | None = None,
    discretisation: Discretisation | None = None,
    input_gain: InputGain | None = None,
    grid: float | Literal["auto"] = "auto",
    steps: int | None = None,
    largest_input: float = 1.0,
) -> Network:
    """Read a spiking network from a NIR file.

    Weights and thresholds are taken as they are, in float64 on the grid; where thresholds differ within a population,
    what reaches a neuron is divided by its own. Averages and sums over windows are linear and have no neurons. Nothing
    is dropped: every IF, LIF, I and LI is a population, of the node's name and with channels last.

    Parameters
    ----------
    path : str or Path
        The file, of nir 1.0 to 1.0.8.
    reset : str, optional
        ``subtraction`` or ``zero``, whatever the file says. By default what it says: ``zero`` where neurons have a
        v_reset, or where they have none and `nir` was 1.0.6 or newer; ``subtraction`` else.
    dt : float, optional
        Seconds a step. By default 1 / r where all neurons have r = 1, or all 1e4; else, and with leaks, it is needed.
    discretisation : str, optional
        Of LIF and LI, which need it: ``exact``, beta = exp(-dt / tau), or ``euler``, beta = 1 - dt / tau.
    input_gain : str, optional
        Of LIF and LI, which need it: ``scaled``, (1 - beta) r of what arrives, or ``one``.
    grid : float or "auto"
        As for `brian_snn.convert`; by default the finest that the bound on V allows.
    steps : int, optional
        Of the longest simulation, for which the grid leaves room; 1000 by default.
    largest_input : float
        The largest absolute value of what is shown, for the same.

    Returns
    -------
    network : Network
        It asks for the reset, dt and delay of the file (`Network.simulation`).

    Raises
    ------
    ModelError
        If the file cannot be read, holds what has no exact form here, or does not say enough; names the node.
    SettingError
        If an argument is outside its range.
    """
    path, what = Path(path), f"NIR file {path}"
    _check(reset, dt, discretisation, input_gain)
    largest_input = real_number("largest_input", largest_input)
    room = whole_number("steps", 1000 if steps is None else steps, 1)
    Conversion(grid=grid)
    graph = read_graph(path)
    time = Time(dt, discretisation, input_gain)
    build, layers = _layers(graph, time, what)
    check_sizes(list(layers.nodes))
    with np.errstate(over="ignore", invalid="ignore"):
        folded = fold(layers, "linear")
    require_finite(folded, "when its linear nodes are made one")
    fine = finest_grid(folded, room, abs(largest_input)) if isinstance(grid, str) else grid
    found, origin = _reset_of(graph, what) if reset is None else (reset, "as told")
    simulation: dict[str, float | str] = {"reset": found, **_clock(build, graph, time)}
    provenance = {
        "file": shown(path.name),
        "sha256": sha256_of(path),
        "nir": shown(graph.version) or "unknown",
        "reset": f"{found}, {origin}",
        "brian_snn": __version__,
    }
    return replace(round_to_grid(folded, fine), simulation=simulation, provenance=provenance)


def _check(reset: Any, dt: Any, discretisation: Any, input_gain: Any) -> None:
    """Raise SettingError where an argument is outside its range."""
    choices = {
        "reset": (reset, ("subtraction", "zero")),
        "discretisation": (discretisation, ("exact", "euler")),
        "input_gain": (input_gain, ("scaled", "one")),
    }
    for name, (value, known) in choices.items():
        if value is not None and value not in known:
            raise SettingError(f"{name} is {value!r}; it must be one of {', '.join(known)}.")
    if dt is not None and not real_number("dt", dt) > 0:
        raise SettingError(f"dt is {dt!r}; it must be a positive number of seconds.")


def _layers(graph: NirGraph, time: Time, what: str) -> tuple[Build, LayerGraph]:
    """Return the neutral nodes of a graph."""
    source, sink = (_only(graph, kind, what) for kind in ("Input", "Output"))
    into: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for start, end in graph.edges:
        into[end].append(start)
    needed = _leading_to(sink.name, into)
    if source.name not in needed:
        raise ModelError(f"{what}: no path leads from its Input to its Output.")
    build, tensors = Build(time), {}
    for node in topological(graph, what):
        if node.name not in needed or node is sink:
            continue
        if node is source:
            tensors[node.name] = _image(build, node, {graph.nodes[b].kind for a, b in graph.edges if a == node.name})
            continue
        heard = [tensors[name] for name in into[node.name]]
        if not heard:
            raise ModelError(f"{what}: {node.label} hears nothing, and is no Input.")
        tensors[node.name] = READERS[node.kind](build, node, _sum(build, node, heard))
        _check_place(node, graph, sink)
    ends = [tensors[name] for name in into[sink.name]]
    if len(ends) != 1:
        raise ModelError(f"{what}: {len(ends)} nodes lead to its Output; one was expected.")
    if ends[0].position != len(build.nodes) - 1:
        build.add(sink, "identity", (ends[0].position,), build.nodes[ends[0].position].output_shape)
    return build, LayerGraph("nir", tuple(build.nodes))


def _only(graph: NirGraph, kind: str, what: str) -> NirNode:
    found = [node for node in graph.nodes.values() if node.kind == kind]
    if len(found) != 1:
        raise ModelError(f"{what}: it has {len(found)} nodes of type {kind}; one was expected.")
    return found[0]


def _leading_to(name: str, into: dict[str, list[str]]) -> set[str]:
    """Return a node and all that it depends on."""
    needed, pending = {name}, [name]
    while pending:
        for source in into[pending.pop()]:
            if source not in needed:
                needed.add(source)
                pending.append(source)
    return needed


def _image(build: Build, node: NirNode, readers: set[str]) -> Tensor:
    """Read the Input: the image has the shape of the file, and is turned where it has channels.

    An axis of the images, of length 1, is left out: of four lengths the first, or one more than all `readers` take.
    """
    given = np.asarray(node.values["shape"])
    if given.dtype.kind not in "iu" or given.ndim != 1 or not 1 <= given.size <= 4 or np.any(given < 1):
        raise ModelError(f"{node.label}: its shape is {given.tolist()!r:.100}; up to four lengths were expected.")
    shape = tuple(int(length) for length in given)
    if shape[0] == 1 and (len(shape) == 4 or {len(shape) - 1} == {_TAKES.get(kind) for kind in readers}):
        shape = shape[1:]
    if len(shape) == 4:
        raise ModelError(f"{node.label}: its shape is {shape}; channels, rows and columns were expected.")
    position = build.add(node, "input", (), shape)
    if len(shape) > 1:
        axes = (*range(1, len(shape)), 0)
        position = build.add(node, "permute", (position,), channels_last(shape), axes=axes)
    return Tensor(position, shape)


def _sum(build: Build, node: NirNode, heard: Sequence[Tensor]) -> Tensor:
    """Return the sum of what several edges bring."""
    if len(heard) == 1:
        return heard[0]
    first = heard[0]
    if any(other.shape != first.shape for other in heard):
        raise ModelError(
            f"{node.label}: tensors of the shapes {[t.shape for t in heard]} reach it; they do not add up."
        )
    if any((other.late, other.from_image) != (first.late, first.from_image) for other in heard if not other.from_image):
        raise ModelError(f"{node.label}: what reaches it is late by different steps; one delay for all can be read.")
    inputs = tuple(tensor.position for tensor in heard)
    shape = channels_last(first.shape)
    position = build.add(node, "add", inputs, shape, coefficients=(1.0,) * len(heard))
    return Tensor(position, first.shape, max(t.late for t in heard), all(t.from_image for t in heard))


def _check_place(node: NirNode, graph: NirGraph, sink: NirNode) -> None:
    """Raise where neurons that only integrate are heard by others."""
    if node.kind in ("I", "LI") and any(a == node.name and b != sink.name for a, b in graph.edges):
        raise ModelError(f"{node.label}: it sends potentials to others, and here only spikes travel; it may come last.")


def _reset_of(graph: NirGraph, what: str) -> tuple[Reset, str]:
    """Return the reset that a file means, and where it says so."""
    says = {"v_reset" in node.values for node in graph.nodes.values() if node.kind in ("IF", "LIF")}
    if len(says) > 1:
        raise ModelError(f"{what}: some neurons have a v_reset and others none; say which reset is meant (reset).")
    if True in says:
        return "zero", "as its v_reset says"
    try:
        version = tuple(int(part) for part in graph.version.split(".")[:3])
    except ValueError:
        version = ()
    newer = version >= _RESETS_TO_ZERO
    return ("zero" if newer else "subtraction"), f"as nir {shown(graph.version) or 'of no version'} means it"


def _clock(build: Build, graph: NirGraph, time: Time) -> dict[str, float]:
    """Return the step and the delay that a file asks for."""
    if len(build.delays) > 1:
        raise ModelError(f"spikes take {sorted(build.delays)} steps to their targets; one delay for all can be read.")
    resistances = [np.asarray(n.values["r"], np.float64) for n in graph.nodes.values() if "r" in n.values]
    step = time.dt
    if step is None and resistances:
        step = time.step("its neurons", np.concatenate([r.ravel() for r in resistances]))
    # A step of 1 is a step, and not a second.
    clock = {"dt_s": step} if step is not None and step != 1.0 else {}
    late = max(build.delays, default=0)
    return clock | ({"delay_s": late * clock.get("dt_s", 1e-3)} if late else {})
