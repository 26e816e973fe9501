"""Where the error of every layer comes from, for the network and some digits of the package."""

from __future__ import annotations

from argparse import Namespace

import pandas as pd

from brian_snn.analysis.error import error_account, error_origins
from brian_snn.cli.console import Stages
from brian_snn.plotting.error_account import plot_error_account
from brian_snn.plotting.style import RESET_LABELS
from brian_snn.running.simulate import simulate
from brian_snn.settings import Settings
from brian_snn.studies.drawing import Drawn, demo_subject


def draw(arguments: Namespace, stages: Stages) -> Drawn:
    """Draw the figure for one reset."""
    with stages.stage("convert the trained network"):
        demo = demo_subject(arguments.images)
        network = demo.network()
    settings = Settings(arguments.steps, arguments.reset, backend=arguments.backend)
    with stages.stage("simulate"):
        result = simulate(network, demo.digits.images, settings)
    with stages.stage("account for the error"):
        activations = demo.activations(network)
        account, origins = error_account(result, activations), error_origins(result, activations)
    title = f"Where the error comes from: {RESET_LABELS[settings.reset]}, {settings.steps} steps"
    tables = {"account": account, "origins": origins}
    return Drawn(plot_error_account(account, origins, title), tables, _shown(origins, network.output.name))


def _shown(origins: pd.DataFrame, output: str) -> dict[str, str]:
    """Return the causes of the error of the logits, the largest first."""
    causes = origins[(origins["population"] == output) & (origins["term"] != "error")]
    ordered = causes.sort_values("share", ascending=False)
    # Adding zero takes the sign from what rounds to minus zero.
    shares = {row.term: round(100 * row.share, 1) + 0.0 for row in ordered.itertuples()}
    return {f"{output}, {term}": f"{share:.1f} % of the error" for term, share in shares.items()}
