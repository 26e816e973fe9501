"""Potentials in millivolts: the linear map between the simulation's unit and a biophysical membrane.

The simulation counts potentials from the resting potential: V = 0 is rest, V = V_thr the threshold. The dynamics is
linear between spikes, so any resting potential and any threshold above it are a shift and a scale of the same run:

    U = U_rest + (U_thr - U_rest) V / V_thr

Reset to zero returns to U_rest, reset by subtraction lowers U by U_thr - U_rest, and a leak decays towards U_rest. What
has a unit of time (tau_m, the refractory period, the delay) is given to `brian_snn.simulate` as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from brian2 import Quantity, volt
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from numpy.typing import ArrayLike

from brian_snn.errors import SettingError


@dataclass(frozen=True, eq=False)
class Membrane:
    """Resting potential and threshold of a biophysical neuron.

    Parameters
    ----------
    rest, threshold : Quantity, voltage
        U_rest and U_thr, the higher one.

    Raises
    ------
    DimensionMismatchError
        If one of them is not a voltage.
    SettingError
        If the threshold does not lie above the resting potential.
    """

    rest: Quantity
    threshold: Quantity

    def __post_init__(self) -> None:
        """Check the voltages."""
        for name in ("rest", "threshold"):
            value = getattr(self, name)
            fail_for_dimension_mismatch(value, volt, f"{name} must be a voltage, got {{value}}", value=value)
        if not (self.threshold > self.rest and np.isfinite(float(self.threshold - self.rest))):
            raise SettingError(
                f"the threshold is {self.threshold}; it must lie above the rest of {self.rest}, finite both."
            )

    def voltage(self, potential: ArrayLike, threshold: float = 1.0) -> Quantity:
        """Return U of potentials as a result has them.

        Parameters
        ----------
        potential : float array
            V, such as ``result.potentials[name]`` or ``result.potential_traces[name]``.
        threshold : float
            V_thr of the simulation.

        Returns
        -------
        voltage : Quantity, voltage, of the same shape
        """
        return self.rest + (self.threshold - self.rest) * (np.asarray(potential, np.float64) / threshold)

    def potential(self, voltage: Quantity, threshold: float = 1.0) -> float:
        """Return V of a voltage, such as ``v_init`` of `brian_snn.simulate`; the inverse of `voltage`.

        Raises
        ------
        DimensionMismatchError
            If it is not a voltage.
        """
        fail_for_dimension_mismatch(voltage, volt, "voltage must be a voltage, got {value}", value=voltage)
        return float((voltage - self.rest) / (self.threshold - self.rest)) * threshold
