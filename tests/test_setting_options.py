"""The options of a simulation against the fields of `Settings`, there and back."""

import re
from dataclasses import fields

import pytest
from brian2 import ms

from brian_snn.__main__ import main
from brian_snn.cli import main as cli
from brian_snn.knobs import help_text, plain_default
from brian_snn.setting_options import option_name, settings_from, settings_options
from brian_snn.settings import Settings


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_an_option_with_its_default(capsys, field):
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    explanation = re.escape(f"{help_text(field)} (default: {plain_default(field)}")
    assert re.search(f"{option_name(field)} [^ ]+ {explanation}", text)


def parse(*options):
    return settings_from(cli.build_parser().parse_args(["simulate", "n", "--data", "d", "-o", "o", *options]))


def test_no_options_are_the_defaults():
    assert parse() == Settings()


def test_each_option_reaches_its_field():
    options = "--steps 7 --reset zero --threshold 2.5 --v-init 0.25 --clamp 3 --readout spikes --projection synapses"
    parsed = parse(*options.split(), *"--max-pool exact --schedule brian2 --backend runtime".split())
    assert parsed == Settings(7, "zero", 2.5, 0.25, 3, 1 * ms, "spikes", "synapses", "exact", "brian2", "runtime")


def test_each_option_of_a_variant_reaches_its_field():
    options = "--max-pool gate --readout softmax_generator --output-rate 0.25 --input-coding poisson --seed 9"
    expected = Settings(max_pool="gate", readout="softmax_generator", output_rate=0.25, input_coding="poisson", seed=9)
    assert parse(*options.split()) == expected


def test_times_are_given_in_ms():
    parsed = parse(*"--dt 0.5 --tau-m 20 --refractory 2 --delay 1.5".split())
    assert (float(parsed.dt), float(parsed.tau_m), float(parsed.refractory), float(parsed.delay)) == (
        0.0005,
        0.02,
        0.002,
        0.0015,
    )


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(7, "zero", 2.5, -0.25, 3, 0.1 * ms, "spikes", "synapses", "exact", "brian2", "runtime"),
        Settings(float_type="float32", max_pool="gate", tau_m=20 * ms, refractory=3 * ms, delay=2 * ms),
        Settings(readout="softmax_generator", input_coding="poisson", output_rate=0.25, seed=11),
    ],
)
def test_settings_and_options_are_inverse(settings):
    assert parse(*settings_options(settings)) == settings
