"""The file of a NIR graph: HDF5 with a group a node, and a list of edges. It is read and written without `nir` itself.

Files come from strangers, so all that is in one is looked at before anything is read (`brian_snn.hdf5`), and what a
node may hold is a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brian_snn.errors import READ_ERRORS, ModelError
from brian_snn.escaping import shown
from brian_snn.files import whole_file
from brian_snn.hdf5 import count_numbers
from brian_snn.reading import check_plain_file

#: What a node of each type holds: what it must, and what it may.
_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Input": (("shape",), ()),
    "Output": (("shape",), ()),
    "IF": (("r", "v_threshold"), ("v_reset",)),
    "LIF": (("tau", "r", "v_leak", "v_threshold"), ("v_reset",)),
    "I": (("r",), ()),
    "LI": (("tau", "r", "v_leak"), ()),
    "Affine": (("weight", "bias"), ()),
    "Linear": (("weight",), ()),
    "Scale": (("scale",), ()),
    "Conv1d": (("weight", "bias", "stride", "padding", "dilation", "groups"), ("input_shape",)),
    "Conv2d": (("weight", "bias", "stride", "padding", "dilation", "groups"), ("input_shape",)),
    "AvgPool2d": (("kernel_size", "stride", "padding"), ()),
    "SumPool2d": (("kernel_size", "stride", "padding"), ()),
    "Flatten": (("start_dim", "end_dim"), ("input_type",)),
    "Delay": (("delay",), ()),
}

_MOST_NODES, _MOST_EDGES, _LONGEST_NAME, _MOST_AXES = 10_000, 100_000, 1000, 8


@dataclass(frozen=True, eq=False)
class NirNode:
    """A node of a graph: its name, its type, and its numbers and texts by name."""

    name: str
    kind: str
    values: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The node as error messages call it."""
        return f"node {shown(self.name)!r} ({shown(self.kind)})"


@dataclass(frozen=True, eq=False)
class NirGraph:
    """What a file says.

    Parameters
    ----------
    version : str
        Of the `nir` that wrote it; nothing if it does not say.
    nodes : dict of str to NirNode
        In no order.
    edges : list of (str, str)
        From, to; in no order.
    """

    version: str
    nodes: dict[str, NirNode]
    edges: list[tuple[str, str]]


def read_graph(path: Path) -> NirGraph:
    """Read a file.

    Raises
    ------
    ModelError
        If there is no such file, or it is damaged or holds anything that NIR does not write.
    """
    import h5py

    what = f"NIR file {path}"
    size = check_plain_file(path, what, ModelError)
    try:
        count_numbers(path, size, texts=True)
        with h5py.File(path, "r") as file:
            return _graph(file)
    except READ_ERRORS as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise ModelError(f"{what}: it is damaged or no NIR file ({shown(reason)}).") from error


def write_graph(graph: NirGraph, path: Path) -> None:
    """Write a file; it is there whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    import h5py

    buffer = BytesIO()
    with h5py.File(buffer, "w") as file:
        file["version"] = graph.version
        file["node/type"] = "NIRGraph"
        edges = np.array(graph.edges, dtype=h5py.string_dtype())
        file.create_dataset("node/edges", data=edges)
        for node in graph.nodes.values():
            group = file.create_group(f"node/nodes/{node.name}")
            group["type"] = node.kind
            for name, value in node.values.items():
                large = isinstance(value, np.ndarray) and value.size > 64
                group.create_dataset(name, data=value, **({"compression": "gzip"} if large else {}))
    with whole_file(path) as target:
        target.write(buffer.getvalue())


def _graph(file: Any) -> NirGraph:
    """Return what an open file says, which was looked through."""
    import h5py

    if not isinstance(file.get("node"), h5py.Group):
        raise ValueError("it has no group 'node'")
    root = file["node"]
    if _text(root, "type") != "NIRGraph":
        raise ValueError(f"its node is a {shown(_text(root, 'type'))}, and not a NIRGraph")
    if unknown := sorted(set(root) - {"type", "nodes", "edges", "metadata", "input_type", "output_type"}):
        raise ValueError(f"its graph holds {', '.join(map(shown, unknown[:5]))}, which no graph has")
    groups = root.get("nodes")
    if not isinstance(groups, h5py.Group) or not 0 < len(groups) <= _MOST_NODES:
        raise ValueError(f"it has no nodes, or more than {_MOST_NODES:,}")
    nodes = {name: _node(name, groups[name]) for name in groups}
    version = _text(file, "version") if "version" in file else ""
    return NirGraph(version, nodes, _edges(root, nodes))


def _node(name: str, group: Any) -> NirNode:
    """Return a node whose fields are those of its type."""
    import h5py

    label = f"node {shown(name)!r}"
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"a name of a node has {len(name)} characters")
    if not isinstance(group, h5py.Group):
        raise ValueError(f"its {label} is no group")
    kind = _text(group, "type")
    if kind not in _FIELDS:
        raise ValueError(
            f"its {label} is a {shown(kind)}, which has no exact form here; there are {', '.join(_FIELDS)}"
        )
    required, optional = _FIELDS[kind]
    given = set(group) - {"type", "metadata"}
    if missing := sorted(set(required) - given):
        raise ValueError(f"its {label} ({kind}) has no {', '.join(missing)}")
    if unknown := sorted(given - {*required, *optional}):
        raise ValueError(f"its {label} ({kind}) has {', '.join(map(shown, unknown))}, which such a node has not")
    return NirNode(name, kind, {field: _value(group[field], f"{label}, {field}") for field in sorted(given)})


def _value(dataset: Any, where: str) -> Any:
    """Return an array of finite numbers, or a text."""
    import h5py

    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"its {where} is no array")
    if dataset.dtype.kind in "SO":
        return _decoded(dataset[()], where)
    if dataset.dtype.kind not in "biuf" or len(dataset.shape) > _MOST_AXES:
        raise ValueError(f"its {where} is of type {dataset.dtype} and shape {dataset.shape}; numbers were expected")
    array: NDArray[Any] = np.asarray(dataset[()])
    if not np.isfinite(array).all():
        raise ValueError(f"its {where} holds NaN or infinite numbers")
    return array


def _text(group: Any, name: str) -> str:
    """Return a text that a group holds."""
    import h5py

    item = group.get(name)
    if not isinstance(item, h5py.Dataset) or item.shape != () or item.dtype.kind not in "SO":
        raise ValueError(f"its {shown(group.name)} does not say its {name}")
    return _decoded(item[()], name)


def _decoded(value: Any, where: str) -> str:
    if not isinstance(value, bytes | str) or len(value) > _LONGEST_NAME:
        raise ValueError(f"its {where} is no short text")
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _edges(root: Any, nodes: Mapping[str, NirNode]) -> list[tuple[str, str]]:
    """Return the edges, read one by one: what a text comes to is not known before."""
    import h5py

    table = root.get("edges")
    if not isinstance(table, h5py.Dataset) or table.dtype.kind not in "SO" or table.ndim != 2 or table.shape[1] != 2:
        raise ValueError("it has no list of edges, of pairs of names")
    if len(table) > _MOST_EDGES:
        raise ValueError(f"it has {len(table):,} edges; up to {_MOST_EDGES:,} are read")
    edges: list[tuple[str, str]] = []
    for row in range(len(table)):
        source, target = (_decoded(table[row, column], "name of an edge") for column in (0, 1))
        for name in (source, target):
            if name not in nodes:
                raise ValueError(f"an edge has the end {shown(name)!r}, which is no node")
        edges.append((source, target))
    return list(dict.fromkeys(edges))


def topological(graph: NirGraph, what: str) -> Sequence[NirNode]:
    """Return the nodes in an order in which each comes behind those that it hears.

    Raises
    ------
    ModelError
        If some form a circle; names them.
    """
    waiting = dict.fromkeys(graph.nodes, 0)
    heard_by: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        waiting[target] += 1
        heard_by[source].append(target)
    ready, ordered = [name for name, n in waiting.items() if not n], []
    while ready:
        name = ready.pop(0)
        ordered.append(graph.nodes[name])
        for target in heard_by[name]:
            waiting[target] -= 1
            ready += [target] * (not waiting[target])
    if len(ordered) < len(graph.nodes):
        circle = [name for name, n in waiting.items() if n]
        names = ", ".join(shown(name) for name in circle[:8])
        raise ModelError(
            f"{what}: {names} hear each other in a circle, or those that do; only feed-forward networks are read."
        )
    return ordered
