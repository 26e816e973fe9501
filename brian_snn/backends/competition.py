"""Brian2's objects that say who of a population spikes, one for each backend: see `brian_snn.neurons.softmax`."""

from __future__ import annotations

import numpy as np
from brian2 import BrianObject, Clock, NeuronGroup
from brian2.core.variables import Variables
from brian2.groups.group import CodeRunner, Group

from brian_snn.arrays import FloatArray
from brian_snn.backends.code_object import TemplateCodeObject
from brian_snn.backends.rendering import rendered
from brian_snn.neurons.softmax import FACTORS, Competition


class CompiledCompetition(Group, CodeRunner):
    """The compiled form: the template of the competition. The noise of an image is a run-time array.

    Parameters
    ----------
    competition : Competition
    target : NeuronGroup
        The output population.
    clock : Clock
    when : str
        Scheduling slot; it comes behind what else is in that slot.
    """

    def __init__(self, competition: Competition, target: NeuronGroup, clock: Clock, when: str) -> None:
        names = ("v", "v_thr", "chosen", "clamp_steps", "t_in_timesteps")
        CodeRunner.__init__(
            self,
            group=self,
            template=competition.template,
            clock=clock,
            when=when,
            order=1,
            name=f"competition_{target.name}",
            needed_variables=[*names, "noise"],
            template_kwds=rendered({"size": len(target)}) | {"factors": FACTORS},
            codeobj_class=TemplateCodeObject,
        )
        self.variables = Variables(self)
        # Brian2 asks every group for its size.
        self.variables.add_constant("N", value=len(target))
        for name in names:
            self.variables.add_reference(name, target)
        self.variables.add_dynamic_array("noise", size=0)
        self._enable_group_attributes()


class RuntimeCompetition(BrianObject):
    """The same for the runtime backend; `noise` is set before the run, (all steps of all images, size)."""

    def __init__(self, competition: Competition, target: NeuronGroup, clock: Clock, when: str) -> None:
        super().__init__(clock=clock, when=when, order=1, name=f"competition_{target.name}")
        self.noise: FloatArray = np.zeros((0, len(target)))
        self._target, self._rule = target, competition.rule

    def run(self) -> None:
        """Set ``chosen`` of the neurons that spike in this step."""
        step = int(self._target.t_in_timesteps[:].item())
        if step >= int(self._target.clamp_steps[:].item()):
            v, v_thr = (self._target.variables[name].get_value() for name in ("v", "v_thr"))
            (spikes,) = self._rule(v[None], self.noise[step][None], v_thr.item())
            self._target.variables["chosen"].get_value()[spikes] = 1
