"""The figures and tables of the benchmarks: what they show, from small stored results."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "experiments" / "benchmarks"


def module_at(path: Path) -> ModuleType:
    """Import a script by its path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None, f"{path} is a module"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def race() -> dict:
    """Return one network with the yardstick, brian_snn, a peer, and a peer that is absent."""
    size = {"neurons": 1000, "synapses": 9, "images": 4, "ann_accuracy": 0.9, "weight_bytes": 8_000_000}
    own = {"simulation_peak_mb": 5.0, "python_peak_mb": 100.0, "events_per_image": 1e6}
    programs = {
        "loop": {"peak_mb": 3, "accuracy": 0.75, "events_per_image": 1e6, "one": {"ms": 2.0}, "both": {"ms": 1.0}},
        "rows": {"peak_mb": None, "accuracy": None, "one": {"ms": 1.5}, "both": {"ms": 0.75}},
        "shared": own | {
            "peak_mb": 105, "accuracy": 0.75,
            "spikes": {"counts": 4000, "differing": 3, "largest": 2},
            "both": {"ms": 1.5},
            "one": {"ms": 3.0, "run_ms": 2.5, "processor_ms": 3.5, "start_ms": 7.0},
        },
        "torch": {"peak_mb": 200, "accuracy": 0.5, "batch": 50, "both": {"ms": 4.0}},
        "sinabs": {"absent": "no wheel"},
    }  # fmt: skip
    kinds = {"loop": "loop", "rows": "rows", "shared": "brian_snn", "torch": "peer", "sinabs": "peer"}
    described = {name: {"label": f"the {name}", "kind": kind} for name, kind in kinds.items()}
    described["shared"]["settings"] = {"projection": "shared"}
    target = {"bytes_per_neuron": 64, "base_mb": 300}
    return {
        "networks": {
            "net": {"size": size, "programs": programs, "minutes": 2.5, "other_load": 0.3},
            "other": {"absent": "no data"},
        },
        "machine": {"processor": "abacus", "cores": 2},
        "params": {"programs": described, "memory_target": target},
    }


@pytest.fixture
def scaling() -> dict:
    """Return two kinds of work, each on a straight line."""
    work = [1.0, 2.0, 4.0]
    sweeps = {
        "steps": {"loop": {"work": work, "seconds": [3.0, 6.0, 12.0], "constant_s": 0.0, "unit_s": 3.0}},
        "events": {"loop": {"work": work, "seconds": [7.0, 9.0, 13.0], "constant_s": 5.0, "unit_s": 2.0}},
    }
    for programs in sweeps.values():
        programs["loop"] |= {"slope": 1.0, "deviation": 0.25}
    return {"sweeps": sweeps, "params": {"programs": {"loop": {"label": "the loop"}}}}


def test_a_dot_is_the_time_with_both_cores_and_a_ring_that_with_one(race: dict) -> None:
    axes = module_at(ROOT / "figures" / "benchmark_race.py").plot_race(race).axes[0]
    drawn = [(line.get_fillstyle(), *line.get_xydata()[0]) for line in axes.lines if len(line.get_xydata()) == 1]
    expected = {("full", 1, 0), ("none", 2, 0), ("full", 0.75, 1), ("none", 1.5, 1)}
    expected |= {("full", 1.5, 2), ("none", 3, 2), ("full", 4, 3)}
    assert set(drawn) == expected


def test_an_absent_program_is_said_to_be_absent_in_its_row(race: dict) -> None:
    axes = module_at(ROOT / "figures" / "benchmark_race.py").plot_race(race).axes[0]
    assert [(text.get_text(), text.get_position()[1]) for text in axes.texts] == [("absent", 4)]


@pytest.mark.parametrize(("panel", "ends"), [(0, [3, 12]), (1, [7, 13])])
def test_a_straight_line_goes_from_the_first_point_to_the_last(scaling: dict, panel: int, ends: list[float]) -> None:
    axes = module_at(ROOT / "figures" / "benchmark_scaling.py").plot_scaling(scaling).axes[panel]
    points, line = axes.lines
    assert [line.get_ydata()[0], line.get_ydata()[-1]] == pytest.approx(ends)
    assert [points.get_ydata()[0], points.get_ydata()[-1]] == ends


def test_scripts_write_png_and_pdf(race: dict, scaling: dict, tmp_path: Path) -> None:
    for name, record in (("race", race), ("scaling", scaling)):
        results = tmp_path / f"{name}.json"
        results.write_text(json.dumps(record), "utf-8")
        module_at(ROOT / "figures" / f"benchmark_{name}.py").main(results, tmp_path)
    names = {path.name for path in tmp_path.iterdir() if path.read_bytes()[:4] in (b"%PDF", b"\x89PNG")}
    assert names == {f"benchmark_{n}.{s}" for n in ("race", "scaling") for s in ("png", "pdf")}


def test_a_row_holds_times_images_a_second_events_and_ratios(race: dict) -> None:
    text = module_at(BENCHMARKS / "tables.py").all_tables(race, None)
    assert "| the shared | 3.00 | 1.50 | 667 | 3.00 | 105 | 75.0 % | 1.50 | 1.50 | 2.00 |" in text
    assert "| the rows | 1.50 | 0.75 | 1333 | 1.50 |  |  | 0.75 | 0.75 | 1.00 |" in text
    assert "| the torch (batch 50) |  | 4.00 | 250 |  | 200 | 50.0 % |  | 4.00 |  |" in text


@pytest.mark.parametrize(("load", "said"), [(0.3, "Do not rely on the times of net"), (0.05, "at most 0.1 cores busy")])
def test_the_tables_begin_with_the_machine_and_what_else_it_did(race: dict, load: float, said: str) -> None:
    race["networks"]["net"]["other_load"] = load
    first = module_at(BENCHMARKS / "tables.py").all_tables(race, None).split("\n\n")[0]
    assert first.startswith("Measured on 2 cores of abacus, in minutes: net 2.5.")
    assert said in first


def test_spike_counts_that_differ_are_reported(race: dict) -> None:
    text = module_at(BENCHMARKS / "tables.py").all_tables(race, None)
    assert "differ from the the loop's: the shared 3 of 4,000, by at most 2." in text


def test_absent_programs_and_networks_are_in_the_tables_with_the_reason(race: dict) -> None:
    text = module_at(BENCHMARKS / "tables.py").all_tables(race, None)
    assert "| the sinabs | absent: no wheel |" in text
    assert "**other**: absent, no data" in text


def test_the_table_of_scaling_holds_the_fits(race: dict, scaling: dict) -> None:
    race["params"]["programs"]["loop"]["label"] = "the loop"
    text = module_at(BENCHMARKS / "tables.py").all_tables(race, scaling)
    assert "| events | the loop | 1 | 4 | 1.00 | 5e+03 | 2e+09 | 25.0 % |" in text


def test_the_allowed_memory_is_weights_and_bytes_a_neuron_and_a_base(race: dict) -> None:
    # 8 MB of weights, 1000 neurons of 64 bytes, 300 MB.
    size = race["networks"]["net"]["size"]
    assert module_at(BENCHMARKS / "tables.py").allowed_memory_mb(size, race["params"]["memory_target"]) == 308.064


def test_the_row_of_brian_snn_holds_its_start_and_its_memory_beside_the_allowed_one(race: dict) -> None:
    text = module_at(BENCHMARKS / "tables.py").all_tables(race, None)
    assert "| net | the shared | 3.00 | 2.50 | 3.50 | 7.00 | 5 (308) | 100 |" in text


def test_a_start_below_zero_is_below_noise(race: dict) -> None:
    race["networks"]["net"]["programs"]["shared"]["one"]["start_ms"] = -85.6
    text = module_at(BENCHMARKS / "tables.py").all_tables(race, None)
    assert "| 3.50 | below noise | 5 (308) |" in text


def test_no_memory_is_allowed_to_explicit_synapses(race: dict) -> None:
    race["params"]["programs"]["shared"]["settings"] = {"projection": "synapses"}
    text = module_at(BENCHMARKS / "tables.py").all_tables(race, None)
    assert "| 3.50 | 7.00 | 5 | 100 |" in text


def test_the_tables_go_between_the_markers(tmp_path: Path) -> None:
    tables, readme = module_at(BENCHMARKS / "tables.py"), tmp_path / "README.md"
    readme.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n", "utf-8")
    tables.write_into(readme, "new")
    assert readme.read_text("utf-8") == f"before\n{tables.BEGIN}\n\nnew\n\n{tables.END}\nafter\n"


def test_a_readme_without_markers_is_an_error_that_names_it(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("no markers", "utf-8")
    with pytest.raises(ValueError, match="README.md"):
        module_at(BENCHMARKS / "tables.py").write_into(readme, "new")


def test_the_experiments_readme_has_the_markers() -> None:
    tables, text = module_at(BENCHMARKS / "tables.py"), (BENCHMARKS / "README.md").read_text("utf-8")
    assert 0 <= text.find(tables.BEGIN) < text.find(tables.END)
