"""Projections without synapses: one kernel, shared by all spikes, whose rows are added into the targets' input.

Explicit `Synapses` store a weight and two indices for each synapse. A convolution repeats the same few weights at
every position, so here the kernel is stored once and the targets of a spike are computed. It is a Brian2 code object
like any other, in the same slot and with the same effect; since sums on the grid are exact in any order, the spikes
are the same bit for bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from brian2 import BrianObject, Clock, NeuronGroup
from brian2.codegen.generators.cpp_generator import c_data_type
from brian2.core.variables import ArrayVariable, Variables
from brian2.groups.group import CodeRunner, Group
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray, IntArray
from brian_snn.backends.code_object import TemplateCodeObject
from brian_snn.backends.rendering import rendered
from brian_snn.network.maps import Grouped, apply_map, gather_inputs, grouped, scatter_outputs
from brian_snn.network.records import Geometry
from brian_snn.settings import Schedule
from brian_snn.simulation.topology import Link

#: Maps of fewer rows are shared out by channel, if there are enough of them: each thread gets at least so many.
_FEW_ROWS, _LEAST_CHANNELS = 16, 32

#: What it takes to find the targets of a spike, in additions of a weight.
_SPIKE_WORK = 8


class SharedProjection(Group, CodeRunner):
    """The compiled form: a template that runs over the source's spikes.

    Parameters
    ----------
    link : Link
        What reaches what.
    source, target : NeuronGroup
        Populations at its ends.
    event : str
        Of the source: ``spike``, or another of which its neurons tell their targets.
    has_weights : bool
        False for max pooling.
    schedule : str
        Order within a step.
    clock : Clock
    when : str
        Scheduling slot.
    """

    def __init__(
        self,
        link: Link,
        source: NeuronGroup,
        target: NeuronGroup,
        event: str,
        has_weights: bool,
        schedule: Schedule,
        clock: Clock,
        when: str,
    ) -> None:
        references = _references(source, target, has_weights, link)
        float_type = target.variables["v"].dtype if has_weights else np.dtype(np.float64)
        arrays = _arrays(link, len(source), float_type)
        CodeRunner.__init__(
            self,
            group=self,
            template="shared_projection",
            clock=clock,
            when=when,
            name=link.name,
            needed_variables=[*references, *arrays],
            template_kwds=rendered(
                {
                    "g": _constants(link, len(source)),
                    "input_names": list(_inputs(target, link)) if has_weights else [],
                    "skip_clamped": "v" in references,
                    "count_lag": 0 if schedule == "same_step" else 1,
                    "takes_largest": "lead_target" in references,
                    "is_gate": "passed" in target.variables,
                    "is_graded": "sent_source" in references,
                    "real": c_data_type(float_type),
                }
            ),
            codeobj_class=TemplateCodeObject,
        )
        self._declare(source, event, len(target), references, arrays)

    def _declare(
        self,
        source: NeuronGroup,
        event: str,
        n_targets: int,
        references: dict[str, tuple[NeuronGroup, str]],
        arrays: dict[str, tuple[int, Any]],
    ) -> None:
        """Declare the variables that the template names."""
        self.variables = Variables(self)
        # Brian2 asks every group for its size.
        self.variables.add_constant("N", value=n_targets)
        self.variables.add_reference("_spikespace", source, f"_{event}space")
        for name, (group, variable) in references.items():
            self.variables.add_reference(name, group, variable)
        for name, (size, dtype) in arrays.items():
            self.variables.add_array(name, size=size, dtype=dtype)
        self._enable_group_attributes()


def _counter(source: NeuronGroup) -> str:
    """Return the variable that counts the spikes that have reached their targets."""
    return "n_arrived" if "arrival" in source.events else "n_spikes"


def _has_sizes(source: NeuronGroup) -> bool:
    """Whether the spikes of a source have sizes of their own; all are 1 where that is no array."""
    return isinstance(source.variables.get("sent"), ArrayVariable)


def _references(
    source: NeuronGroup, target: NeuronGroup, has_weights: bool, link: Link
) -> dict[str, tuple[NeuronGroup, str]]:
    """Return the variables of its neurons that a kernel reads or writes: its name for each, group, name there."""
    if not has_weights:
        pooled = ("lead",) if "lead" in target.variables else ("hit", "n_spikes")
        return {"n_spikes_source": (source, _counter(source))} | {f"{name}_target": (target, name) for name in pooled}
    inputs = _inputs(target, link)
    clamped = ("clamp_steps", "t_in_timesteps") if "v" in inputs else ()
    sizes = {"sent_source": (source, "sent")} if _has_sizes(source) else {}
    return sizes | {name: (target, name) for name in (*inputs, *clamped)}


def _inputs(target: NeuronGroup, link: Link) -> tuple[str, ...]:
    """Return what arriving charge is added to: what waits for the integration, or V and the book of what arrived."""
    if link.part != "all":
        return (link.part,)
    return ("drive",) if "drive" in target.variables else tuple(n for n in ("v", "charge") if n in target.variables)


def _arrays(link: Link, n_source: int, float_type: np.dtype[Any]) -> dict[str, tuple[int, Any]]:
    """Return size and type of the arrays that a kernel owns."""
    arrays: dict[str, tuple[int, Any]] = {}
    if link.geometry.weights_shape is not None:
        arrays["weights"] = (int(np.prod(link.geometry.weights_shape)), float_type)
    if link.source_index is not None:
        arrays["input_of_source"] = (n_source, np.int32)
    if link.target_index is not None:
        arrays["target_of_output"] = (link.geometry.n_out, np.int32)
    return arrays


class RuntimeKernel(BrianObject):
    """The same for the runtime backend: the map applied with NumPy to the vector of spikes.

    `weights` is set before the run.
    """

    def __init__(
        self,
        link: Link,
        source: NeuronGroup,
        target: NeuronGroup,
        event: str,
        schedule: Schedule,
        clock: Clock,
        when: str,
        more: str = "",
    ) -> None:
        super().__init__(clock=clock, when=when, name=f"{link.name}{more}")
        self.weights: FloatArray | None = None
        self._link = link
        self._source, self._target, self._event, self._schedule = source, target, event, schedule
        self._first_source, self._n_neurons = link.first_source, link.n_neurons

    def run(self) -> None:
        """Add what this step's spikes bring to the targets' input."""
        events = self._source.variables[f"_{self._event}space"].get_value()
        spiking = events[: events[-1]]
        if not len(spiking):
            return
        pools = self._link.geometry.kind == "max_pool"
        activity, received = np.zeros((1, len(self._source))), np.zeros((1, len(self._target)))
        # Under Brian2's own order a source's count has not been raised yet when its spike is delivered.
        lag = 0 if self._schedule == "same_step" else 1
        if pools:
            activity[0, spiking] = self._state(self._source, _counter(self._source))[spiking] + lag
        else:
            activity[0, spiking] = self._state(self._source, "sent")[spiking] if _has_sizes(self._source) else 1.0
        if pools and "passed" in self._target.variables:
            activity[0, spiking] = activity[0, spiking] * self._n_neurons - (self._first_source + spiking)
        inputs = gather_inputs(self._link, activity)
        scatter_outputs(self._link, apply_map(self._link.geometry, self.weights, inputs), received)
        if pools and "lead" in self._target.variables:
            lead = self._state(self._target, "lead")
            lead[:] = np.maximum(lead, received[0])
        elif pools:
            self._state(self._target, "hit")[:] += received[0] > self._state(self._target, "n_spikes")
        elif "v" not in (names := _inputs(self._target, self._link)) or not self._is_clamped():
            for name in names:
                self._state(self._target, name)[:] += received[0]

    def _is_clamped(self) -> bool:
        """Whether the target is held at V(0) in this step."""
        return bool(self._target.t_in_timesteps < self._target.clamp_steps)

    @staticmethod
    def _state(group: NeuronGroup, name: str) -> FloatArray:
        """Return the array behind a state variable, to be changed in place."""
        return group.variables[name].get_value()


def _constants(link: Link, n_source: int) -> dict[str, Any]:
    """Return the numbers that are compiled into the template."""
    geometry, shape = link.geometry, _rows_of(link.geometry)
    (top, _), (left, _) = geometry.padding
    _, width_in, c_in = shape.input_shape
    h_out, w_out, c_out = shape.output_shape
    rows, columns = geometry.kernel_size
    return {
        "n_source": n_source,
        "has_source_index": link.source_index is not None,
        "has_target_index": link.target_index is not None,
        "is_max_pool": geometry.kind == "max_pool",
        "first_source": link.first_source,
        "n_neurons": link.n_neurons,
        "weight_per_target": geometry.kind in ("average_pool", "identity"),
        "is_disjoint": _is_disjoint(geometry),
        "joins_windows": _joins_windows(link),
        **_shares(link),
        "w_in": width_in,
        "c_in": c_in,
        "h_out": h_out,
        "w_out": w_out,
        "c_out": c_out,
        "c_in_group": c_in // shape.groups,
        "c_out_group": c_out // shape.groups,
        "top": top,
        "left": left,
        "stride_rows": geometry.strides[0],
        "stride_columns": geometry.strides[1],
        "dilation_rows": geometry.dilation[0],
        "dilation_columns": geometry.dilation[1],
        "kernel_columns": columns,
        "reach_rows": (rows - 1) * geometry.dilation[0],
        "reach_columns": (columns - 1) * geometry.dilation[1],
    }


def _rows_of(geometry: Geometry) -> Grouped:
    """Return the grouped convolution that a map is; one whose windows are single positions as a column of rows."""
    if geometry.kind == "identity":
        return Grouped((geometry.n_in, 1, 1), (geometry.n_out, 1, 1), 1)
    shape = grouped(geometry)
    if geometry.kernel_size != (1, 1) or geometry.strides != (1, 1) or geometry.padding != ((0, 0), (0, 0)):
        return shape
    (height, width, c_in), (_, _, c_out) = shape.input_shape, shape.output_shape
    return Grouped((height * width, 1, c_in), (height * width, 1, c_out), shape.groups)


def _shares(link: Link) -> dict[str, Any]:
    """Return how threads share out the targets: by channel or by row, in how many pieces, and what a spike costs."""
    geometry, shape = link.geometry, _rows_of(link.geometry)
    h_out, channels = shape.output_shape[0], shape.output_shape[2] // shape.groups
    by_channel = h_out < _FEW_ROWS and channels >= 2 * _LEAST_CHANNELS
    windows = math.prod(geometry.kernel_size) / math.prod(geometry.strides)
    return {
        "by_channel": by_channel,
        "n_pieces": channels // _LEAST_CHANNELS if by_channel else h_out,
        "targets_per_spike": math.ceil(windows * channels) + _SPIKE_WORK,
    }


def _is_disjoint(geometry: Geometry) -> bool:
    """Whether no two windows of a map share an input: each is at most as wide and high as the step to the next."""
    axes = zip(geometry.kernel_size, geometry.dilation, geometry.strides, strict=True)
    return all((size - 1) * dilation < stride for size, dilation, stride in axes)


def _joins_windows(link: Link) -> bool:
    """Whether the windows in a row that hold an input are neighbours, with weights and targets side by side."""
    geometry = link.geometry
    return (
        geometry.kind in ("conv2d", "depthwise")
        and not _is_disjoint(geometry)
        and grouped(geometry).groups == 1
        and geometry.strides[1] == geometry.dilation[1] == 1
        and link.target_index is None
    )


def weights_by_target(geometry: Geometry, weights: NDArray[Any]) -> NDArray[Any]:
    """Return the weights in the order in which the template reads them.

    Parameters
    ----------
    weights : float array of ``geometry.weights_shape``

    Returns
    -------
    sorted : float array of the same size
        (kernel rows, input channels of a group, kernel columns from the last to the first, output channels); those of
        average pooling stay as they are, one per target.
    """
    if geometry.kind == "average_pool":
        return weights
    rows, columns = geometry.kernel_size
    shape = grouped(geometry)
    kernel = weights.reshape(rows, columns, shape.input_shape[2] // shape.groups, shape.output_shape[2])
    return np.ascontiguousarray(kernel.transpose(0, 2, 1, 3)[:, :, ::-1])


def input_of_source(link: Link, n_source: int) -> IntArray:
    """Return which input of the map each source neuron feeds, -1 for none: the inverse of ``source_index``."""
    assert link.source_index is not None, "only a link with a source_index has an inverse of it"
    inverse = np.full(n_source, -1, np.int32)
    real = np.flatnonzero(link.source_index >= 0)
    inverse[link.source_index[real]] = real
    return inverse
