"""Settings: what they refuse, whatever its type, and what they make of numbers that are not Python's own."""

import math

import numpy as np
import pytest
from brian2 import DimensionMismatchError, ms, second, volt

from brian_snn import Recording, Settings
from brian_snn.errors import SettingError
from brian_snn.settings import Execution

NO_WHOLE_NUMBERS = (None, "10", math.nan, math.inf, -math.inf, 2.5, True, [3], 1j)
NO_NUMBERS = (None, "1", False, [1.0], 1j)


@pytest.mark.parametrize("name", ["steps", "clamp", "seed"])
@pytest.mark.parametrize("value", [*NO_WHOLE_NUMBERS, -1])
def test_what_is_no_whole_number_is_refused(name, value):
    with pytest.raises(SettingError, match=f"^{name} is .*; it must be a whole number of at least [01]"):
        Settings(**{name: value})


REAL = ["threshold", "v_init", "output_rate"]
TIMES = ["dt", "tau_m", "refractory", "delay"]


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number_is_refused(name, value):
    with pytest.raises(SettingError, match=f"^{name} is .*; it must be a number"):
        Settings(**{name: value})


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_time_is_refused(name, value):
    with pytest.raises(SettingError, match=f"^{name} is .*; it must be a time"):
        Settings(**{name: value})


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", [0.001, 2, 3 * volt])
def test_a_time_has_the_unit_of_one(name, value):
    with pytest.raises(DimensionMismatchError, match=f"{name} must be a time"):
        Settings(**{name: value})


@pytest.mark.parametrize("name", [*REAL, *TIMES])
def test_nan_is_outside_every_range(name):
    with pytest.raises(SettingError, match=f"^{name} is nan"):
        Settings(**{name: math.nan * second if name in TIMES else math.nan})


def test_settings_that_are_equal_have_the_same_hash_and_numbers():
    one, other = Settings(dt=0.5 * ms, tau_m=20 * ms), Settings(dt=0.0005 * second, tau_m=0.02 * second)
    assert one == other and hash(one) == hash(other) and one.numbers() == other.numbers()
    assert Settings.from_numbers(one.numbers()) == one != Settings()


@pytest.mark.parametrize("name", ["workers", "shard_size"])
@pytest.mark.parametrize("value", [*NO_WHOLE_NUMBERS[1:], 0])
def test_an_execution_in_no_whole_numbers_is_refused(name, value):
    with pytest.raises(SettingError, match=f"^{name} is .*; it must be a whole number of at least 1"):
        Execution(**{name: value})


@pytest.mark.parametrize("value", NO_WHOLE_NUMBERS)
def test_what_is_no_step_is_no_checkpoint(value):
    with pytest.raises(SettingError, match="^a checkpoint is"):
        Recording(checkpoints=(1, value))


@pytest.mark.parametrize("name", ["record_spikes", "record_potentials", "record_counts"])
def test_a_name_is_not_taken_for_a_sequence_of_names(name):
    with pytest.raises(SettingError, match=f"^{name} is 'conv'; it must be a sequence of names"):
        Recording(**{name: "conv"})


def test_numbers_of_other_types_become_those_of_the_fields():
    given = Settings(steps=10.0, clamp=np.int16(3), seed=np.uint64(2**53 + 1), threshold=2, v_init=np.float32(0.5))
    assert given == Settings(steps=10, clamp=3, seed=2**53 + 1, threshold=2.0, v_init=0.5)
    types = {name: type(getattr(given, name)) for name in ("steps", "clamp", "seed", "threshold", "v_init")}
    assert types == {"steps": int, "clamp": int, "seed": int, "threshold": float, "v_init": float}
