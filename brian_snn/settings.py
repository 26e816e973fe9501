"""How a network is simulated: frozen records of knobs, checked where they are made.

`brian_snn.simulate` and `stream` take their fields by name; command line, sweep and report are made of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

import brian_snn.knobs as knobs
from brian_snn.checks import real_number
from brian_snn.errors import SettingError
from brian_snn.progress import Progress
from brian_snn.setting_checks import LARGEST_BURST, LONGEST_DELAY, check_ranges

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from brian2 import Quantity

Reset = Literal["subtraction", "zero"]
Readout = Literal["potential", "spikes", "softmax"]
Schedule = Literal["same_step", "brian2"]
ProjectionMode = Literal["auto", "synapses", "shared"]
MaxPool = Literal["exact", "gate"]
InputCoding = Literal["current", "poisson", "frames"]
Backend = Literal["standalone", "runtime"]
Synapse = Literal["exponential", "alpha"]
RefractoryInput = Literal["lost", "kept"]
Adaptation = Literal["threshold", "current"]
Polarity = Literal["positive", "signed"]
FloatType = Literal["float64", "float32"]
Overflow = Literal["saturate", "wrap"]


@knobs.described
@dataclass(frozen=True)
class Settings:
    """How a network is simulated.

    Leak and refractory period belong to neurons: an output that only integrates has neither.

    Raises
    ------
    SettingError
        If a value is outside its range; the message names it.
    DimensionMismatchError
        If dt, tau_m, refractory, tau_syn, tau_adaptation or delay is not a time.
    """

    steps: int = knobs.whole(200, 1, "time steps per image. Their number is T / dt.")
    reset: Reset = knobs.choice(
        "subtraction",
        Reset,
        "what a spike takes from the potential: one threshold (subtraction) or everything (zero). They are (4b) and "
        "(4a).",
    )
    threshold: float = knobs.real(
        1.0,
        "V_thr, in units where a weight of 1 is one threshold of 1. Weights, biases and currents scale with it.",
        "V",
    )
    v_init: float = knobs.real(
        0.0,
        "V(0) of every neuron, in the unit of the threshold. With reset by subtraction the spike count of a constant "
        "input is a T / dt rounded down, or with V_thr / 2 to the nearest whole number.",
        "V",
    )
    clamp: int = knobs.whole(
        0,
        0,
        "steps for which each layer is held at V(0) longer than the layer before it. A population at depth d rests "
        "during the first ``clamp * (d - 1)`` steps.",
        "STEPS",
    )
    dt: Quantity = knobs.duration(1.0, "time step; the highest firing rate is one spike per step")
    readout: Readout = knobs.choice(
        "potential",
        Readout,
        "whether the output layer integrates its potential, spikes, or answers a generator by a softmax. With the last "
        "each spike of an external Poisson generator goes to one of its neurons, drawn with the softmax of V / V_thr.",
    )
    projection: ProjectionMode = knobs.choice(
        "auto",
        ProjectionMode,
        "explicit Brian2 Synapses, shared kernels, or auto: whichever suits the number of synapses. One of `Synapses` "
        "takes some 50 bytes and a load from memory; ``auto`` has them up to 100,000. The spikes are the same.",
    )
    max_pool: MaxPool = knobs.choice(
        "exact",
        MaxPool,
        "how max pooling spikes: as often as the largest of its inputs, or whenever the leading one does. ``exact``: "
        "N_out(t) = max_j N_j(t) at every step; ``gate``: the spikes of the input that has spiked most so far pass, of "
        "several with the same count those of the first.",
    )
    schedule: Schedule = knobs.choice(
        "same_step",
        Schedule,
        "whether a spike crosses the network within its step, or in Brian2's own order of updates. The rate equations "
        "assume the first; in the other a layer lags its source, and a reset to zero wipes out what arrives with the "
        "spike.",
    )
    backend: Backend = knobs.choice(
        "standalone", Backend, "compiled C++, or in process without a compiler (slower). The spikes are the same."
    )
    tau_m: Quantity = knobs.duration(
        math.inf,
        "time constant with which the potential leaks away; inf for no leak. V falls by the factor "
        "exp(-dt / tau_m) before each step's input arrives.",
    )
    refractory: Quantity = knobs.duration(
        0.0,
        "time for which a neuron rests after a spike. It neither integrates nor leaks nor spikes for this whole "
        "number of steps, counted from the one after the spike (Brian2's own ``refractory`` is a step longer for the "
        "same). What arrives meanwhile is lost.",
    )
    refractory_input: RefractoryInput = knobs.choice(
        "lost",
        RefractoryInput,
        "what a refractory neuron does with its input; with ``kept`` it integrates and leaks, and only does not spike",
    )
    tau_syn: Quantity = knobs.duration(
        0.0,
        "time constant with which a spike's charge reaches its target; 0 for at once. Constant currents have none.",
    )
    synapse: Synapse = knobs.choice(
        "exponential", Synapse, "course of the synaptic current: one stage of that time constant, or two (alpha)"
    )
    reversal_excitatory: float = knobs.real(
        math.inf,
        "potential E_e to which spikes of positive weight drive V, over V_thr, from rest; inf for a current",
        "E",
    )
    reversal_inhibitory: float = knobs.real(
        -math.inf, "potential E_i, below rest, to which those of negative weight drive it; -inf for a current", "E"
    )
    adaptation: Adaptation = knobs.choice(
        "threshold",
        Adaptation,
        "what a neuron's spikes bring about, of size ``adaptation_step``: a higher threshold, or a current out of it",
    )
    adaptation_step: float = knobs.real(
        0.0, "how much a spike adds to it, in thresholds, or thresholds a step; 0 for no adaptation", "A"
    )
    tau_adaptation: Quantity = knobs.duration(100.0, "time constant with which adaptation decays")
    threshold_mismatch: float = knobs.real(
        0.0, "standard deviation of the thresholds of the neurons, over V_thr. They are drawn from the seed.", "S"
    )
    leak_mismatch: float = knobs.real(0.0, "standard deviation of their leaks, over the leak", "S")
    noise: float = knobs.real(
        0.0, "standard deviation of a random charge in every step and neuron, over V_thr. It is binomial.", "S"
    )
    delay: Quantity = knobs.duration(0.0, f"time that a spike takes to its targets. At most {LONGEST_DELAY} steps.")
    delay_mismatch: float = knobs.real(
        0.0,
        "standard deviation of the delays of the neurons, over the delay. They are whole steps, drawn from the seed.",
        "S",
    )
    burst: int = knobs.whole(
        1,
        1,
        "most spikes that a neuron sends in a step. It sends one for each whole V_thr in its potential; the highest "
        f"rate is ``burst / dt``. At most {LARGEST_BURST}.",
        "K",
    )
    polarity: Polarity = knobs.choice(
        "positive",
        Polarity,
        "whether a neuron takes spikes back. With ``signed`` one whose potential is at -V_thr or below sends a "
        "negative spike, as long as its spike count is above 0; counts are net.",
    )
    input_coding: InputCoding = knobs.choice(
        "current",
        InputCoding,
        "whether the image is a constant current, a random spike train per pixel (0 to 1), or a frame a step. With "
        "``poisson`` a pixel is a neuron that spikes in every step with that probability; they are population "
        "``input_spikes``. Images with an axis of steps are ``frames`` of themselves.",
    )
    output_rate: float = knobs.real(
        0.5,
        "rate of the generator of the softmax, over the highest rate. It is its probability of a spike a step.",
        "R",
    )
    seed: int = knobs.whole(0, 0, "of the random numbers. Those of an image depend on nothing else but its number.")
    float_type: FloatType = knobs.choice(
        "float64",
        FloatType,
        "type of potentials and weights; float32 is as exact, on a coarser grid (convert --grid). Sums are multiples "
        "of the grid with at most 24 bits instead of 53; it is refused where they could have more. An output layer, "
        "whose weights have no common scale, stays in ``float64``.",
    )
    accumulator_bits: int = knobs.whole(
        0,
        0,
        "bits of the potential, with its sign, in units of the least bit of what is added to it; 0 for as many as it "
        "takes. What a step adds is summed up first.",
        "B",
    )
    overflow: Overflow = knobs.choice(
        "saturate", Overflow, "what a potential of accumulator_bits does at its ends: stay there, or come back"
    )

    def __post_init__(self) -> None:
        """Check every field."""
        knobs.check_knobs(self)
        check_ranges(self)

    def __hash__(self) -> int:
        """Return the hash of the numbers; a Quantity has none."""
        return hash(tuple(self.numbers().items()))

    @property
    def refractory_steps(self) -> int:
        """Number of steps for which a neuron rests after a spike."""
        return round(float(self.refractory) / float(self.dt))

    @property
    def delay_steps(self) -> int:
        """Number of steps that a spike takes to its targets."""
        return round(float(self.delay) / float(self.dt))

    @property
    def graded(self) -> bool:
        """Whether spikes have sizes, since there are bursts, or spikes that take others back."""
        return self.burst > 1 or self.polarity == "signed"

    def numbers(self) -> dict[str, Any]:
        """Return the settings as texts and numbers, as files have them: times in seconds, under a name with ``_s``."""
        return {
            f"{knob.name}_s" if knobs.is_time(knob) else knob.name: (
                float(getattr(self, knob.name)) if knobs.is_time(knob) else getattr(self, knob.name)
            )
            for knob in fields(self)
        }

    @classmethod
    def from_numbers(cls, numbers: dict[str, Any]) -> Settings:
        """Return the settings whose `numbers` these are.

        Raises
        ------
        SettingError
            If a value is outside its range, or a name is none of a setting.
        """
        from brian2 import second

        names = {f"{knob.name}_s" if knobs.is_time(knob) else knob.name: knob for knob in fields(cls)}
        if unknown := sorted(set(numbers) - set(names)):
            raise SettingError(f"there is no setting {', '.join(unknown)}")
        values = {}
        for name, value in numbers.items():
            is_time = knobs.is_time(names[name])
            values[names[name].name] = real_number(names[name].name, value) * second if is_time else value
        return cls(**values)


@knobs.described
@dataclass(frozen=True)
class Recording:
    """What a simulation keeps besides what it always keeps.

    Raises
    ------
    SettingError
        If a name stands where a sequence of them belongs, or a checkpoint is no step.
    """

    record_spikes: Sequence[str] = knobs.names("layers to record the spike trains of. They are kept for every image.")
    record_potentials: Sequence[str] = knobs.names("layers to record the potential V(t) of, for every image")
    record_counts: Sequence[str] = knobs.names(
        "layers to note the spike counts of at the checkpoints, neuron by neuron"
    )
    checkpoints: Sequence[int] | None = knobs.steps(
        "steps at which to keep the output. The total spike counts are noted with it. By default of the compiled "
        "backend, where the output names classes, about two dozen, close together at first; () for none."
    )

    def __post_init__(self) -> None:
        """Make tuples of whatever sequences were given; checkpoints in ascending order, each once."""
        knobs.check_knobs(self)


@knobs.described
@dataclass(frozen=True)
class Execution:
    """How a simulation is run: by how many processes and threads, or by whose. Nothing here changes its result.

    Raises
    ------
    SettingError
        If a number is outside its range, or the executor is none.
    """

    workers: int = knobs.whole(1, 1, "processes to run side by side. The runtime backend has one.")
    threads: int = knobs.whole(
        1,
        1,
        "threads of each process, which share out the work within an image. For large networks and few images: small "
        "networks have no work for them, and of many images as many workers do more. The runtime backend has one.",
    )
    shard_size: int | None = knobs.whole(None, 1, "images to simulate and write at a time; some 64 MB worth by default")
    executor: Executor | None = field(
        default=None,
        metadata={
            "kind": "other",
            "unit": "concurrent.futures.Executor",
            "text": "runs the shards in place of the processes: Dask's ``client.get_executor()``, mpi4py's, loky's or "
            "any other. The network and the images are sent, no program: whoever gets a shard compiles for itself.",
        },
    )
    progress: Progress | bool | None = field(
        default=None,
        metadata={
            "kind": "other",
            "unit": "callable or bool",
            "text": "called with (done, total) images; True for bars, of the compilation too, False for none. By "
            "default there are bars on a terminal and in notebooks, for calls that last longer than a second.",
        },
    )
    build_progress: Progress | None = field(
        default=None,
        metadata={"kind": "other", "unit": "callable", "text": "called with (done, total) files compiled here"},
    )

    def __post_init__(self) -> None:
        """Check the numbers and the executor."""
        knobs.check_knobs(self)
        if self.executor is not None and not callable(getattr(self.executor, "submit", None)):
            raise SettingError(
                f"executor is {self.executor!r}; it must be a concurrent.futures.Executor, such as that of "
                "client.get_executor() of Dask, or None for this machine."
            )
