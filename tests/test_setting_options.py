"""The options of a simulation against the fields of `Settings`, there and back."""

import re
from dataclasses import fields

import pytest

from brian_snn.__main__ import main
from brian_snn.cli import main as cli
from brian_snn.setting_options import SETTING_HELP, option_name, settings_from, settings_options
from brian_snn.settings import Settings


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_an_option_with_its_default(capsys, field):
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    default = field.default * 1000 if field.name == "dt_s" else field.default
    explanation = re.escape(f"{SETTING_HELP[field.name][1]} (default: {default})")
    assert re.search(f"{option_name(field.name)} [^ ]+ {explanation}", text)


def parse(*options):
    return settings_from(cli.build_parser().parse_args(["simulate", "n", "--data", "d", "-o", "o", *options]))


def test_no_options_are_the_defaults():
    assert parse() == Settings()


def test_each_option_reaches_its_field():
    options = "--steps 7 --reset zero --threshold 2.5 --v-init 0.25 --clamp 3 --readout spikes --projection synapses"
    parsed = parse(*options.split(), *"--max-pool exact --schedule brian2 --backend runtime".split())
    assert parsed == Settings(7, "zero", 2.5, 0.25, 3, 1e-3, "spikes", "synapses", "exact", "brian2", "runtime")


def test_each_option_of_a_variant_reaches_its_field():
    options = "--max-pool gate --readout softmax --output-rate 0.25 --input-coding poisson --seed 9"
    expected = Settings(max_pool="gate", readout="softmax", output_rate=0.25, input_coding="poisson", seed=9)
    assert parse(*options.split()) == expected


def test_times_are_given_in_ms():
    parsed = parse(*"--dt 0.5 --tau-m 20 --refractory 2 --delay 1.5".split())
    assert (parsed.dt_s, parsed.tau_m_s, parsed.refractory_s, parsed.delay_s) == (0.0005, 0.02, 0.002, 0.0015)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(7, "zero", 2.5, -0.25, 3, 1e-4, "spikes", "synapses", "exact", "brian2", "runtime"),
        Settings(float_type="float32", max_pool="gate", tau_m_s=0.02, refractory_s=0.003, delay_s=0.002),
        Settings(readout="softmax", input_coding="poisson", output_rate=0.25, seed=11),
    ],
)
def test_settings_and_options_are_inverse(settings):
    assert parse(*settings_options(settings)) == settings
