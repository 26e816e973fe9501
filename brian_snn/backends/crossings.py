"""Integration, threshold and reset of a population in one pass over its neurons, for compiled programs.

Brian2 makes a code object of each, and so three passes. In our schedule nothing happens between them, so here Brian2
translates the same statements, those of the neuron model, into the two parts of one code object: what each neuron does,
and what those that spike do besides. The group's own thresholder and resetter stay, inactive.
"""

from __future__ import annotations

from brian2 import Clock, NeuronGroup
from brian2.core.variables import Variables
from brian2.groups.group import CodeRunner

from brian_snn.backends.code_object import TemplateCodeObject
from brian_snn.neurons.record import NeuronModel


class Crossings(CodeRunner):
    """The code object.

    Parameters
    ----------
    group : NeuronGroup
        The population, with a threshold.
    model : NeuronModel
        What it was made of.
    clock : Clock
    when : str
        Scheduling slot.
    """

    def __init__(self, group: NeuronGroup, model: NeuronModel, clock: Clock, when: str) -> None:
        for runner in (group.thresholder["spike"], group.resetter["spike"]):
            runner.active = False
        self.variables = Variables(self)
        self.variables.add_auxiliary_variable("_cond", dtype=bool)
        code = {"advance": f"{model.integrate}\n_cond = {model.threshold}".strip(), "reset": model.reset}
        super().__init__(
            group=group,
            template="crossings",
            code=code,
            user_code=code,
            clock=clock,
            when=when,
            name=f"{group.name}_crossings",
            needed_variables=["_spikespace"],
            template_kwds={"eventspace_variable": group.variables["_spikespace"]},
            codeobj_class=TemplateCodeObject,
        )
