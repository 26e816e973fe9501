"""The figures of the ImageNet experiments: what their axes show, from small stored results."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from brian_snn.plotting.style import GREY

FIGURES = Path(__file__).resolve().parents[1] / "figures"


def script(name: str) -> ModuleType:
    """Import a script of the folder figures/."""
    spec = importlib.util.spec_from_file_location(name, FIGURES / f"{name}.py")
    assert spec is not None and spec.loader is not None, f"figures/{name}.py is a module"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def accuracy() -> dict:
    """Return the scores of two checkpoints, another number of right photos for each case."""
    names = ("layer, clamp 5", "channel, clamp 5", "channel, no clamp")
    scores = [{"top1": [0, k], "top5": [1, k + 1], "agree": [0, k + 2], "pearson_r": [0.1, 0.2 * k]} for k in range(3)]
    cases = {name: {"steps": [10, 20], **score} for name, score in zip(names, scores, strict=True)}
    return {"ann": {"photos": 10, "top1": 8, "top5": 9}, "cases": cases}


@pytest.mark.parametrize(("panel", "score"), list(enumerate(["top1", "top5", "agree", "pearson_r"])))
def test_a_panel_shows_the_score_of_every_case_over_the_steps(accuracy: dict, panel: int, score: str) -> None:
    axes = script("mobilenet_accuracy").plot_accuracy(accuracy).axes[panel]
    drawn = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}
    for name, case in accuracy["cases"].items():
        assert drawn[name] == ([10, 20], case[score])


@pytest.mark.parametrize(("panel", "expected"), [(0, 8), (1, 9)])
def test_the_score_of_the_ann_is_drawn_across(accuracy: dict, panel: int, expected: int) -> None:
    axes = script("mobilenet_accuracy").plot_accuracy(accuracy).axes[panel]
    assert [list(line.get_ydata()) for line in axes.lines if line.get_color() == GREY] == [[expected, expected]]


@pytest.fixture
def layers() -> pd.DataFrame:
    """Return two cases of three populations, two of them at the same depth, and a readout."""
    rows = [
        {"case": case, "kind": kind, "depth": depth, "pearson_r": r * factor, "mean_abs_offset": offset}
        for case, factor in (("plain", 0.5), ("clamp", 1.0))
        for kind, depth, r, offset in (
            ("spiking", 1, 0.9, 0.01), ("spiking", 2, 0.8, 0.02), ("spiking", 2, 0.6, 0.04), ("readout", 3, 0.5, None)
        )
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_line_is_the_mean_correlation_of_a_depth(layers: pd.DataFrame) -> None:
    axes = script("inception_correlation").plot_correlation(layers).axes[0]
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}
    assert lines["clamp"] == ([1, 2, 3], pytest.approx([0.9, 0.7, 0.5]))
    assert lines["plain"] == ([1, 2, 3], pytest.approx([0.45, 0.35, 0.25]))


def test_the_readout_has_no_offset(layers: pd.DataFrame) -> None:
    axes = script("inception_correlation").plot_correlation(layers).axes[1]
    assert all(max(line.get_xdata()) == 2 for line in axes.lines)


def test_scripts_write_png_and_pdf(accuracy: dict, layers: pd.DataFrame, tmp_path: Path) -> None:
    results = tmp_path / "accuracy.json"
    results.write_text(json.dumps(accuracy), "utf-8")
    layers.to_csv(tmp_path / "layers.csv", index=False)
    script("mobilenet_accuracy").main(results, tmp_path)
    script("inception_correlation").main(tmp_path / "layers.csv", tmp_path)
    names = {path.name for path in tmp_path.iterdir() if path.read_bytes()[:4] in (b"%PDF", b"\x89PNG")}
    assert names == {f"{n}.{s}" for n in ("mobilenet_accuracy", "inception_correlation") for s in ("png", "pdf")}
