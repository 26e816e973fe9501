"""Spikes that carry a number: bursts of up to k spikes a step, and negative spikes, which take others back.

After the charge of a step the neuron sends s(t):

    s = min(k, floor(u / V_thr))      if u >= V_thr
    s = -1                            if u <= -V_thr and N(t-1) > 0, with ``polarity="signed"``
    V = u - V_thr s,    N(t) = N(t-1) + s(t)

With a threshold that adaptation has raised by A the thresholds in u - A count, and all spikes of a step meet the same
A. A neuron's own threshold takes the place of V_thr.

and its targets receive w s. So N is net, never below 0, and N V_thr = q - (V(T) - V(0)) holds as it does for one spike
a step; with k = 1 and positive spikes this is Eq. (4b), and the neuron without sizes is used.

Bursts are those of Li and Zeng (IJCAI 2022), who let a neuron spike on within a step while its residual potential
reaches the threshold. Negative spikes are those of the signed neuron with memory of Wang et al. (IJCAI 2022), whose
memory is the sum of what it has sent, with the threshold -V_thr of their public code. A neuron that has sent nothing
stays silent, as its ReLU asks for. A threshold just below 0 would make V >= 0 the rule and N follow q at once, at the
price of spikes there and back for every fluctuation.

floor(u / V_thr) is exact where u is a multiple n V_thr less a step g of the grid: n - g / V_thr is farther from n than
half of the distance of two neighbouring numbers there, as long as u / g has no more bits than the type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from brian_snn.arrays import FloatArray
from brian_snn.neurons.part import Part
from brian_snn.neurons.record import NEGATIVE, Neuron, NeuronModel, Spikes
from brian_snn.settings import Settings

#: The size of a spike, and how many were negative.
SENT = "sent : integer  # Theta_i | size of the last spike of the neuron\n"
BELOW = f"{NEGATIVE} : integer  # negative spikes since the start of the image\n"
_BURST = "burst : integer (shared, constant)  # k | the largest size\n"
_ONES = "sent = 1 : integer  # Theta_i | size of a spike\n"


def price_of(parts: Sequence[Part]) -> str:
    """Return what a spike takes from V."""
    return "v_thr" + "".join(f" + {part.price}" for part in parts if part.price)


def with_sizes(model: NeuronModel, settings: Settings, parts: Sequence[Part]) -> NeuronModel:
    """Return the model of an integrate-and-fire neuron whose spikes have sizes.

    A size is worked out by the reset, for those that spike alone, and stays until the next one.
    """
    signed, price = settings.polarity == "signed", price_of(parts)
    price = f"({price})" if "+" in price else price
    raised = "".join(f" - {part.barrier}" for part in parts if part.barrier and not part.price)
    # Of neurons that spike: a negative one is at minus its threshold or below, where the floor is at most -1.
    size = f"sent = int(clip(floor((v{raised}) / {price}), -1, burst))"
    back = f"(v >= {price} or (v <= -{price} and n_spikes > 0)) and t_in_timesteps >= clamp_steps"
    gains = "".join(f"\n{name} += {by} * sent" for part in parts for name, by in part.gains.items())
    return replace(
        model,
        equations=model.equations + SENT + _BURST + BELOW * signed,
        threshold=back if signed else model.threshold,
        reset=f"{size}\nv -= {price} * sent\nn_spikes += sent{gains}" + f"\n{NEGATIVE} += int(sent < 0)" * signed,
        outputs=(*model.outputs, *[NEGATIVE] * signed),
        zeroed=(*model.zeroed, "sent", *[NEGATIVE] * signed),
        constants=(*model.constants, "burst"),
        graded=True,
    )


def with_ones(neuron: Neuron) -> Neuron:
    """Return a neuron whose spikes have no size as one among those that have: of size 1."""
    return replace(neuron, model=replace(neuron.model, equations=neuron.model.equations + _ONES))


def size_formula(settings: Settings, parts: Sequence[Part]) -> tuple[str, ...]:
    """Return the size of a spike as a paper writes it."""
    raised = "".join(f" - {part.barrier_symbol}" for part in parts if part.barrier and not part.price)
    own = "".join(f" + {part.barrier_symbol}" for part in parts if part.price)
    u, threshold = (f"(u_i(t){raised})" if raised else "u_i(t)"), rf"V_{{\mathrm{{thr}}}}{own}"
    price = f"({threshold})" if own else threshold
    burst = rf"\min(k, \lfloor {u} / {price} \rfloor)" if settings.burst > 1 else "1"
    size = rf"\Theta_i(t) &= {burst} \text{{ if }} u_i(t){raised} \ge {threshold} \text{{, else }} 0"
    if settings.polarity == "positive":
        return (size,)
    back = rf"\Theta_i(t) &= -1 \text{{ if }} u_i(t) \le -{price} \text{{ and }} N_i(t-1) \gt 0"
    return (size, back, r"N_i(t) &= N_i(t-1) + \Theta_i(t)")


def size_title(settings: Settings) -> str:
    """Return what a paper adds to the name of the neuron."""
    words = [f"bursts of up to {settings.burst} spikes"] * (settings.burst > 1)
    return " and ".join([*words, *["negative spikes"] * (settings.polarity == "signed")])


class Sizes:
    """What neurons send, in NumPy; it keeps their counts.

    Parameters
    ----------
    settings : Settings
    shape : (n_images, size)
    """

    def __init__(self, settings: Settings, shape: tuple[int, ...]) -> None:
        self._burst, self._signed = settings.burst, settings.polarity == "signed"
        self._counts = np.zeros(shape, np.int64)

    def note(self, u: FloatArray, barrier: FloatArray | float, price: FloatArray | float, spikes: Spikes) -> None:
        """Write the sizes of a step into `spikes`, of neurons that spike at a barrier at what a spike takes."""
        sizes = np.clip(np.floor((u - (barrier - price)) / price), 0, self._burst)
        if self._signed:
            sizes -= (u <= -price) & (self._counts > 0)
        spikes[:] = sizes
        self._counts += spikes
