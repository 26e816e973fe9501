"""Convert trained networks to spiking ones, simulate them exactly in Brian2, verify their firing rates.

The three steps are `convert`, `simulate` and `verify`: a trained model becomes a `Network`, the network and images a
`Result`, the result a table of identities with their residuals.
"""

from __future__ import annotations

import importlib

from brian_snn.version import __version__ as __version__

# What `typing` calls so, which need not be imported: see `brian_snn.__main__`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brian_snn.analysis.verify import verify
    from brian_snn.backends.brian2_model import Brian2Model, brian2
    from brian_snn.conversion.adjusting import adjust
    from brian_snn.conversion.convert import convert
    from brian_snn.conversion.quantise import quantise
    from brian_snn.conversion_settings import Conversion
    from brian_snn.errors import BrianSnnError
    from brian_snn.events import Events
    from brian_snn.exchange.nir_read import read_nir
    from brian_snn.exchange.nir_write import write_nir
    from brian_snn.network.file import load_network
    from brian_snn.network.network import Network
    from brian_snn.network.records import Geometry, Population, Projection
    from brian_snn.neurons.membrane import Membrane
    from brian_snn.referee.check import Judgement, check
    from brian_snn.report.describe import describe
    from brian_snn.report.doctor import doctor
    from brian_snn.results.load import load_result
    from brian_snn.results.result import Result
    from brian_snn.running.build import build
    from brian_snn.running.simulate import simulate, stream
    from brian_snn.search_settings import Search
    from brian_snn.settings import Execution, Recording, Settings
    from brian_snn.settings_file import read_settings, write_settings
    from brian_snn.tuning.tune import tune
    from brian_snn.tuning.tuning import Tuning

__all__ = [
    "Brian2Model",
    "BrianSnnError",
    "Conversion",
    "Events",
    "Execution",
    "Geometry",
    "Judgement",
    "Membrane",
    "Network",
    "Population",
    "Projection",
    "Recording",
    "Result",
    "Search",
    "Settings",
    "Tuning",
    "adjust",
    "brian2",
    "build",
    "check",
    "convert",
    "describe",
    "doctor",
    "load_network",
    "load_result",
    "quantise",
    "read_nir",
    "read_settings",
    "simulate",
    "stream",
    "tune",
    "verify",
    "write_nir",
    "write_settings",
]

# Where each public name lives. They are imported on first use: Brian2 takes seconds to import, TensorFlow longer.
_HOMES = {
    "Brian2Model": "backends.brian2_model",
    "adjust": "conversion.adjusting",
    "brian2": "backends.brian2_model",
    "BrianSnnError": "errors",
    "Geometry": "network.records",
    "Conversion": "conversion_settings",
    "Events": "events",
    "Execution": "settings",
    "Membrane": "neurons.membrane",
    "Network": "network.network",
    "Population": "network.records",
    "Projection": "network.records",
    "Recording": "settings",
    "Result": "results.result",
    "Search": "search_settings",
    "Settings": "settings",
    "Tuning": "tuning.tuning",
    "Judgement": "referee.check",
    "build": "running.build",
    "check": "referee.check",
    "convert": "conversion.convert",
    "describe": "report.describe",
    "doctor": "report.doctor",
    "quantise": "conversion.quantise",
    "load_network": "network.file",
    "load_result": "results.load",
    "read_nir": "exchange.nir_read",
    "read_settings": "settings_file",
    "simulate": "running.simulate",
    "stream": "running.simulate",
    "tune": "tuning.tune",
    "verify": "analysis.verify",
    "write_nir": "exchange.nir_write",
    "write_settings": "settings_file",
}

# The packages, which are imported on first use too.
_ROOMS = (
    *("analysis", "backends", "calibration", "conversion", "exchange", "frontends", "network", "neurons", "plotting"),
    *("referee", "report", "results"),
    *("running", "simulation", "studies", "tuning"),
)


def __getattr__(name: str) -> Any:
    """Import a public name, or a package, on first use."""
    if name in _ROOMS:
        return importlib.import_module(f"brian_snn.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'brian_snn' has no attribute {name!r}")
    # The doctor finds out itself whether Brian2 can be imported.
    if _HOMES[name] not in ("errors", "report.doctor"):
        importlib.import_module("brian_snn.quiet_brian").import_brian2()
    value = getattr(importlib.import_module(f"brian_snn.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted([*globals(), *__all__])
