"""Millivolts, picocoulombs, picoamperes and nanosiemens: from the simulation's unit to a biophysical membrane and back.

The simulation counts potentials from the resting potential: V = 0 is rest, V = V_thr the threshold. The dynamics is
linear between spikes, so any resting potential and any threshold above it are a shift and a scale of the same run:

    U = U_rest + (U_thr - U_rest) V / V_thr

Reset to zero returns to U_rest, reset by subtraction lowers U by U_thr - U_rest, and a leak decays towards U_rest. A
charge z, such as a weight, lifts the membrane by (U_thr - U_rest) z / V_thr; on a capacitance C that is

    Q = C (U_thr - U_rest) z / V_thr,    a current I = Q / dt for a step,    and with a time constant R = tau_m / C

A conductance that decays with tau_syn and brings Q at rest, with the reversal potential E, has G = Q / (tau_syn (E -
U_rest)) at its height. What has a unit of time (dt, tau_m, tau_syn, the refractory period, the delay) is given to
`brian_snn.simulate` as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from brian2 import Quantity, amp, farad, second, volt
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from numpy.typing import ArrayLike

from brian_snn.arrays import FloatArray
from brian_snn.errors import SettingError


@dataclass(frozen=True, eq=False)
class Membrane:
    """Resting potential and threshold of a biophysical neuron.

    Parameters
    ----------
    rest, threshold : Quantity, voltage
        U_rest and U_thr, the higher one.
    capacitance : Quantity, capacitance, optional
        C; without it there are voltages alone.

    Raises
    ------
    DimensionMismatchError
        If one of them is of another unit.
    SettingError
        If the threshold does not lie above the resting potential, or the capacitance is not positive.
    """

    rest: Quantity
    threshold: Quantity
    capacitance: Quantity | None = None

    def __post_init__(self) -> None:
        """Check the voltages."""
        for name in ("rest", "threshold"):
            _require_unit(name, getattr(self, name), volt)
        if not (self.threshold > self.rest and np.isfinite(float(self.threshold - self.rest))):
            raise SettingError(
                f"the threshold is {self.threshold}; it must lie above the rest of {self.rest}, finite both."
            )
        if self.capacitance is not None:
            _require_unit("capacitance", self.capacitance, farad)
            if not 0 < float(self.capacitance) < np.inf:
                raise SettingError(f"the capacitance is {self.capacitance}; it must be positive and finite.")

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
        _require_unit("voltage", voltage, volt)
        return float((voltage - self.rest) / (self.threshold - self.rest)) * threshold

    def deflection(self, charge: ArrayLike, threshold: float = 1.0) -> Quantity:
        """Return by how much a charge z lifts the membrane, in volts: a weight, a bias, a current of the image."""
        return (self.threshold - self.rest) * (np.asarray(charge, np.float64) / threshold)

    def charge(self, charge: ArrayLike, threshold: float = 1.0) -> Quantity:
        """Return the charge Q of a z, in coulombs; it needs the capacitance."""
        return self._capacitance * self.deflection(charge, threshold)

    def current(self, charge: ArrayLike, dt: Quantity, threshold: float = 1.0) -> Quantity:
        """Return the current that brings a z in every step of dt, in amperes; it needs the capacitance."""
        _require_unit("dt", dt, second)
        return self.charge(charge, threshold) / dt

    def drive(self, current: Quantity, dt: Quantity, threshold: float = 1.0) -> FloatArray:
        """Return the z that a current brings in a step; the inverse of `current`.

        Raises
        ------
        DimensionMismatchError
            If it is not a current, or dt not a time.
        """
        _require_unit("current", current, amp)
        _require_unit("dt", dt, second)
        part = current * dt / (self._capacitance * (self.threshold - self.rest))
        return np.asarray(part, np.float64) * threshold

    def conductance(self, charge: ArrayLike, reversal: Quantity, tau_syn: Quantity, threshold: float = 1.0) -> Quantity:
        """Return the height of an exponential conductance that brings a z at rest, in siemens.

        Parameters
        ----------
        charge : float array
            z, such as weights; of one sign.
        reversal : Quantity, voltage
            E; `reversal_potential` has it in the unit of the settings.
        tau_syn : Quantity, time
        threshold : float
            V_thr of the simulation.
        """
        _require_unit("reversal", reversal, volt)
        _require_unit("tau_syn", tau_syn, second)
        return self.charge(charge, threshold) / (tau_syn * (reversal - self.rest))

    def reversal_potential(self, voltage: Quantity) -> float:
        """Return a reversal potential as the settings have it: in V_thr, from rest."""
        return self.potential(voltage)

    def resistance(self, tau_m: Quantity) -> Quantity:
        """Return R of a membrane that leaks with the time constant tau_m, in ohms; it needs the capacitance."""
        _require_unit("tau_m", tau_m, second)
        return tau_m / self._capacitance

    @property
    def _capacitance(self) -> Quantity:
        """The capacitance, which must have been given."""
        if self.capacitance is None:
            raise SettingError(
                "the membrane has no capacitance; give one, such as Membrane(..., capacitance=100 * pF)."
            )
        return self.capacitance


def _require_unit(name: str, value: Quantity, unit: Quantity) -> None:
    """Raise a DimensionMismatchError where a quantity is of another unit, with the name of what was expected."""
    kinds = {"volt": "a voltage", "second": "a time", "amp": "a current", "farad": "a capacitance"}
    fail_for_dimension_mismatch(value, unit, f"{name} must be {kinds[unit.name]}, got {{value}}", value=value)
