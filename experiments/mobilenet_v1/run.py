"""Classify ImageNet photos with MobileNet-V1 and with its spiking network, under several settings."""

from __future__ import annotations

import argparse
import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from numpy.typing import NDArray

from brian_snn.arrays import FloatArray
from brian_snn.cli.experiment import note, script
from brian_snn.conversion.check import check_against_reference
from brian_snn.conversion.fold import fold
from brian_snn.conversion.normalise import normalise, round_to_grid
from brian_snn.frontends.keras.reader import read_model
from brian_snn.network.forward import iterate_forward
from brian_snn.network.network import Network
from brian_snn.photos import photo_files, read_photo
from brian_snn.running.simulate import simulate
from brian_snn.studies.subjects import data_path

N_CLASSES = 1001
GRID = 2.0**-24

logger = logging.getLogger("mobilenet_v1")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that leave something out, or put other photos in the place of some."""
    parser.add_argument("--photos", type=Path, help="photos to classify; those of $BRIAN_SNN_DATA by default")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases to run; the others keep their stored numbers")


def load_mobilenet(weights: Path, side: int) -> keras.Model:
    """Return MobileNet-V1 with 1001 logits; class 0 is the background."""
    model = keras.applications.MobileNet(
        input_shape=(side, side, 3), weights=None, classes=N_CLASSES, classifier_activation=None
    )
    model.load_weights(weights)
    return model


def load_photos(folder: Path, params: dict[str, Any]) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return pixels from -1 to 1 and the model's class of every photo, whose name ends in ``_LABEL``."""
    files = photo_files(folder)
    photos = [2 * read_photo(file, params["side"], params["shorter_side"]) - 1 for file in files]
    return np.array(photos), np.array([int(file.stem.split("_")[-1]) + 1 for file in files])


def calibrated(folded: Network, model: keras.Model, photos: FloatArray, case: dict[str, Any]) -> Network:
    """Return the network normalised on some photos, checked against Keras."""
    network = normalise(folded, photos, case["percentile"], case["normalisation"])
    check_against_reference(model, network, photos[:1])
    return round_to_grid(network, GRID)


def limits(
    folded: Network, photos: FloatArray, labels: NDArray[np.int64], ann: FloatArray, params: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the scores of the ANN with every activation cut at lambda: what the spikes tend to with time.

    Every half of the photos is classified with the scales of the same half, and with those of the other.
    """
    halves = (slice(0, None, 2), slice(1, None, 2))
    rows = []
    for normalisation in params["limits"]["normalisations"]:
        for percentile in params["limits"]["percentiles"]:
            logits = {"same photos": np.zeros_like(ann), "other photos": np.zeros_like(ann)}
            for fitted in halves:
                network = normalise(folded, photos[fitted], percentile, normalisation)
                for tested in halves:
                    where = logits["same photos" if tested is fitted else "other photos"]
                    where[tested] = saturated_logits(network, photos[tested])
            setting = {"normalisation": normalisation, "percentile": percentile}
            rows += [setting | {"calibrated_on": on} | scores(each, labels, ann) for on, each in logits.items()]
            logger.info("%s", rows[-1])
    return rows


def saturated_logits(network: Network, photos: FloatArray) -> FloatArray:
    """Return the readout of the network in numbers, (n_photos, n_classes), with a rate of at most one spike a step."""
    saturating = tuple(p if p.kind == "readout" else replace(p, ceiling=p.scale) for p in network.populations)
    *_, (_, logits) = iterate_forward(replace(network, populations=saturating), photos)
    return logits.reshape(len(photos), -1)


def scores(logits: FloatArray, labels: NDArray[np.int64], ann: FloatArray) -> dict[str, float]:
    """Return how many photos are right, and how close the logits are to those of the ANN."""
    order = np.argsort(-logits, axis=1)
    varies = np.ptp(logits) > 0
    return {
        "top1": int(np.sum(order[:, 0] == labels)),
        "top5": int(np.sum(order[:, :5] == labels[:, None])),
        "agree": int(np.sum(order[:, 0] == ann.argmax(axis=1))),
        "pearson_r": round(float(np.corrcoef(logits.ravel(), ann.ravel())[0, 1]), 4) if varies else 0.0,
        "rmse": round(float(np.sqrt(np.mean((logits - ann) ** 2))), 3),
    }


def over_time(logits: FloatArray, labels: NDArray[np.int64], ann: FloatArray) -> dict[str, list[float]]:
    """Return the scores at all checkpoints, a list for each."""
    rows = [scores(at_checkpoint, labels, ann) for at_checkpoint in logits]
    return {name: [row[name] for row in rows] for name in rows[0]}


def run_case(
    case: dict[str, Any],
    network: Network,
    photos: FloatArray,
    labels: NDArray[np.int64],
    ann: FloatArray,
    options: argparse.Namespace,
    params: dict[str, Any],
) -> dict[str, Any]:
    """Simulate one case and return its curves."""
    checkpoints = list(range(params["every"], case["steps"] + 1, params["every"]))
    result = simulate(
        network,
        photos,
        steps=case["steps"],
        v_init=case["v_init"],
        clamp=case["clamp"],
        projection="shared",
        workers=options.workers,
        checkpoints=checkpoints,
    )
    n_spiking = sum(p.size for p in network.populations if p.kind == "spiking")
    spikes = sum(int(counts.sum()) for counts in result.spike_counts.values())
    assert result.output_history is not None, "the run has checkpoints"
    scores_over_time = over_time(result.output_history.reshape(len(checkpoints), *ann.shape), labels, ann)
    record = {
        "photos": len(photos),
        "steps": checkpoints,
        **scores_over_time,
        "mean_rate": round(spikes / n_spiking / len(photos) / case["steps"], 3),
        "synaptic_events_per_photo": int(result.synaptic_events.mean()),
        "seconds": {stage: round(seconds, 1) for stage, seconds in result.timings_s.items()},
    }
    last = {name: values[-1] for name, values in scores_over_time.items()}
    logger.info("%s: %s after %d steps, %s", case["name"], last, case["steps"], record["seconds"])
    return record


def main() -> None:
    """Convert, simulate case by case, compare, store."""
    options = script(__doc__, Path(__file__), add_options)
    params = options.params
    model = load_mobilenet(data_path(params["weights"]), params["side"])
    calibration, _ = load_photos(data_path("photos"), params)
    photos, labels = load_photos(options.photos or data_path("photos"), params)
    ann = model.predict(photos.astype(np.float32), verbose=0).astype(np.float64)
    folded = fold(read_model(model))
    path = options.results / "accuracy.json"
    stored = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    cases = stored.get("cases", {}) if options.only else {}
    for case in params["cases"]:
        if options.only and case["name"] not in options.only:
            continue
        fitted, tested = (slice(*case.get(key, (None,))) for key in ("calibrate_on", "classify"))
        network = calibrated(folded, model, calibration[fitted], case)
        cases[case["name"]] = run_case(case, network, photos[tested], labels[tested], ann[tested], options, params)
    if options.only and "limits" in stored:
        limit_rows = stored["limits"]
    else:
        limit_rows = limits(folded, photos, labels, ann, params)
    record = {
        "ann": {"photos": len(photos)} | scores(ann, labels, ann),
        "ann_margin": np.round(np.diff(np.sort(ann, axis=1)[:, -2:], axis=1)[:, 0], 2).tolist(),
        "limits": limit_rows,
        "cases": cases,
    }
    note(options, path.name, record)


if __name__ == "__main__":
    main()
