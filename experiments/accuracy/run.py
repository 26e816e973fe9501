"""Measure the error of two spiking classifiers against steps and operations, for three percentiles and both resets."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from functools import partial
from pathlib import Path

from fashion import DEBIAN_FOLDER, fashion_classifier

from brian_snn.cli.experiment import run_study, script
from brian_snn.studies.accuracy import STUDY, measure


def add_fashion(parser: ArgumentParser) -> None:
    """Add the option that says where the clothes are."""
    parser.add_argument(
        "--fashion",
        type=Path,
        default=Path(os.environ.get("BRIAN_SNN_FASHION", DEBIAN_FOLDER)),
        help="folder of the IDX files of Fashion-MNIST; BRIAN_SNN_FASHION names another default",
    )


def main() -> int:
    """Train the second network, or load it, and measure both."""
    options = script(__doc__, Path(__file__), add_fashion)
    fashion = fashion_classifier(options.fashion, options.results / "fashion_cnn.keras", options.params)
    return run_study(STUDY, options, partial(measure, others=[("Fashion-MNIST", fashion)]))


if __name__ == "__main__":
    raise SystemExit(main())
