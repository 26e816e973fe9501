"""Generate the C++ project of a topology with Brian2's standalone device.

Runs in a process of its own (`main`, started by `brian_snn.backends.generator`, which pickles the topology and the form
of the program to its standard input), so that devices, preferences and clocks of the caller's Brian2 are never touched.
The pickle comes from the parent process through a pipe; nothing from a file is ever unpickled.
"""

from __future__ import annotations

import pickle
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from brian2 import get_device, ms, prefs, set_device
from brian2.codegen.generators.cpp_generator import c_data_type
from brian2.core.variables import Variable
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice

from brian_snn.backends.brian_objects import BrianObjects, brian_network
from brian_snn.backends.competition import CompiledCompetition
from brian_snn.backends.generator import Form
from brian_snn.backends.rendering import rendered
from brian_snn.simulation.topology import Layer, Topology

#: Of each form of a program what is inserted into Brian2's main() before it reads files, and behind that.
_INSERTED: dict[Form, tuple[str, str]] = {
    "shards": ("complaints.cpp", "main_loop.cpp"),
    "take_away": ("take_away_start.cpp", "take_away_loop.cpp"),
}

#: Sources that are the same for every topology.
_TEAM = ("team.h", "team.cpp")


def generate(topology: Topology, folder: str, form: Form) -> None:
    """Write the C++ sources of a topology into `folder`, for a program of a form; nothing is compiled."""
    set_device("cpp_standalone", build_on_run=False)
    prefs.core.network.default_schedule = ["start", "groups", "thresholds", "synapses", "resets", "end"]
    prefs.codegen.cpp.headers = ["<numeric>", "<cstdlib>", "<cstring>", '"team.h"']
    objects = brian_network(topology)
    # A run of no steps registers the code objects; the loop over images then drives the network itself.
    objects.network.run(0 * ms, namespace={})
    device = get_device()
    start, loop = _INSERTED[form]
    device.insert_code("before_start", _template(start).render())
    device.insert_code("main", main_loop(topology, objects, device, loop))
    device.build(directory=folder, compile=False, run=False, with_output=False)
    for name in _TEAM:
        (Path(folder) / name).write_text(_source(name), "utf-8")
    if form == "take_away":
        # Headers that Brian2 is told of would be in every file.
        main = Path(folder, "main.cpp")
        main.write_text(f'#include "take_away.h"\n{main.read_text("utf-8")}', "utf-8")


def main_loop(topology: Topology, objects: BrianObjects, device: CPPStandaloneDevice, template: str) -> str:
    """Render a loop over images."""

    def array(owner: Any, name: str) -> str:
        """Return the C++ name of a plain array."""
        return str(device.get_array_name(owner.variables[name]))

    layers = [_layer_context(position, layer, objects, device) for position, layer in enumerate(topology.layers)]
    return _template(template).render(
        layers=layers,
        frames=any(layer.sees_frames for layer in topology.layers),
        readout=[
            (name, layers[k]["size"], kind)
            for k in topology.outputs
            for name, kind in layers[k]["outputs"]
            if name in layers[k]["readout"]
        ],
        network=objects.network.name,
        dt=array(objects.clock, "dt"),
        timestep=array(objects.clock, "timestep"),
        time=array(objects.clock, "t"),
    )


def _template(name: str) -> jinja2.Template:
    """Return one of our C++ templates."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source), undefined=jinja2.StrictUndefined, autoescape=False, finalize=rendered
    )
    return environment.get_template(name)


def _source(name: str) -> str:
    """Return the text of one of our C++ templates."""
    return resources.files("brian_snn.backends").joinpath("templates", name).read_text("utf-8")


def _layer_context(position: int, layer: Layer, objects: BrianObjects, device: CPPStandaloneDevice) -> dict[str, Any]:
    """Collect the C++ names of one layer's arrays."""
    variables: dict[str, Variable] = objects.groups[position].variables

    def name(variable: str) -> str | None:
        return str(device.get_array_name(variables[variable])) if variable in variables else None

    def arrays_of(monitors: dict[int, Any], variables: dict[str, str]) -> dict[str, str] | None:
        # A monitor must not be tested for truth: that asks for its length, which is not known yet.
        if position not in monitors:
            return None
        found = monitors[position].variables
        return {key: str(device.get_array_name(found[v], access_data=False)) for key, v in variables.items()}

    zeroed = [name(v) for v in layer.model.zeroed if v in variables]
    size = {"size": "sent"} if layer.model.graded else {}
    return {
        "position": position,
        "size": layer.size,
        "graded": layer.model.graded,
        "sees_image": layer.sees_image,
        "sees_frames": layer.sees_frames,
        "zeroed": zeroed,
        "n_spikes": name("n_spikes"),
        "v": name("v"),
        "v_start": name("v_start"),
        "current": name("current"),
        **_noise_context(position, layer, objects, device),
        "outputs": [(name(v), c_data_type(variables[v].dtype)) for v in layer.model.outputs],
        "float_type": c_data_type(np.dtype(layer.float_type)),
        "readout": [name(v) for v in ("n_spikes", "v") if v in layer.model.outputs],
        "spike_monitor": arrays_of(objects.spike_monitors, {"i": "i", "t": "t", "n": "N", **size}),
        "state_monitor": arrays_of(objects.state_monitors, {"v": "v", "t": "t", "n": "N"}),
    }


def _noise_context(
    position: int, layer: Layer, objects: BrianObjects, device: CPPStandaloneDevice
) -> dict[str, str | None]:
    """Name the vector or the array that a layer's random input goes to: a row of numbers a step, or one an image."""
    if position in objects.competitions:
        competition = objects.competitions[position]
        assert isinstance(competition, CompiledCompetition), "the standalone device makes the compiled form"
        return {
            "noise_vector": str(device.get_array_name(competition.variables["noise"], access_data=False)),
            "stream": None,
        }
    variables = objects.groups[position].variables
    stream = str(device.get_array_name(variables["stream"])) if "stream" in variables else None
    return {"noise_vector": None, "stream": stream}


def main(folder: str) -> None:
    """Do the work of the process."""
    topology, form = pickle.load(sys.stdin.buffer)
    generate(topology, folder, form)
