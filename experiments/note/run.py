"""Put the numbers of the stored results into the note, and make a PDF of it: docs/note.md, docs/note.pdf."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

HERE = Path(__file__).resolve().parent
EXPERIMENTS, DOCS = HERE.parent, HERE.parents[1] / "docs"

Rows = list[dict[str, str]]


def table(experiment: str, name: str) -> pd.DataFrame:
    """Return a stored table."""
    return pd.read_csv(EXPERIMENTS / experiment / "results" / f"{name}.csv")


def record(experiment: str, name: str) -> dict[str, Any]:
    """Return a stored record."""
    return dict(json.loads((EXPERIMENTS / experiment / "results" / f"{name}.json").read_text("utf-8")))


def schedule() -> dict[str, Any]:
    """Return what Brian2's own order loses."""
    noted, errors = record("depth", "depth"), table("depth", "errors")
    steps = noted["params"]["figure_steps"]
    last = errors[errors["steps"] == steps]
    last = last[last["depth"] == last.groupby("network")["depth"].transform("max")]
    means = last.groupby(["network", "reset", "schedule"], sort=False)["rmse"].mean()
    rows = [
        {
            "network": network,
            "reset": reset,
            "same": f"{means[network, reset, 'same_step']:.4f}",
            "brian2": f"{means[network, reset, 'brian2']:.4f}",
        }
        for network, reset in dict.fromkeys((key[0], key[1]) for key in means.index)
    ]
    return {"schedule": rows, "depth_steps": steps, "depth_checks": f"{noted['checks']:,}"}


def laws() -> dict[str, Any]:
    """Return how close single neurons come to the ReLU, and where S8 fails."""
    noted = record("rate_laws", "rate_laws")
    errors = pd.DataFrame(noted["errors"])
    longest = errors[errors["steps"] == errors["steps"].max()].set_index("reset")
    z, v_thr, v_init, steps = 0.4, 1.0, 0.5, 2
    n = next(k for k in range(1, steps + 2) if k * z >= v_thr)
    v, spikes = v_init, 0
    for _ in range(steps):
        v, spikes = (0.0, spikes + 1) if v + z >= v_thr else (v + z, spikes)
    s8 = z / (n * z) * (1 - (v - v_init) / (z * steps))
    example = (
        f"with $z$ = {z}, $V_{{thr}}$ = {v_thr:g} and $V(0)$ = {v_init} two steps give {spikes} spike, a rate of "
        f"{spikes / steps:g} $r_{{max}}$, and S8 gives {s8:.4f} $r_{{max}}$"
    )
    return {
        "s8_example": example,
        "laws_inputs": noted["neurons"],
        "laws_durations": errors["steps"].nunique(),
        "laws_steps": int(errors["steps"].max()),
        "laws_subtraction": f"{longest.loc['subtraction', 'largest']:.4f} $r_{{max}}$",
        "laws_zero": f"{longest.loc['zero', 'largest']:.3f} $r_{{max}}$ at the same $T$",
    }


def books() -> dict[str, Any]:
    """Return how much was checked of MNIST, and what the error of its logits is made of."""
    noted, account = record("mnist", "mnist"), record("error_account", "summary")
    rows = [
        {"settings": name, "error": f"{100 * case['relative_error_of_logits']:.2g} %"}
        | {term: f"{100 * case['shares'][term]:.0f} %" for term in ("saturation", "residual", "transient", "surplus")}
        for name, case in account["cases"].items()
    ]
    return {
        "mnist_digits": f"{noted['digits']:,}",
        "mnist_runs": len(noted["cases"]),
        "mnist_identities": f"{noted['identities_in_all']:,}",
        "mnist_residual": f"{max(case['max_residual_charge'] for case in noted['cases']):g}",
        "account": rows,
    }


def transients() -> dict[str, Any]:
    """Return the offsets of the layer of Figure S1, and how much of the last hidden layer is not bounded."""
    offsets = table("clamp_transients", "offsets")
    chosen = offsets[(offsets["reset"] == "subtraction") & (offsets["depth"] == offsets["depth"].max())]
    wide = 1e3 * chosen.pivot_table(index="step", columns="clamp", values="mean_abs_offset")
    wide = wide.loc[[step for step in (50, 100, 200, 300, 500) if step in wide.index]]
    heads = ["steps", *(f"clamp {clamp}" for clamp in wide.columns)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for step, row in wide.iterrows():
        lines.append(f"| {step} | " + " | ".join("-" if pd.isna(value) else f"{value:.1f}" for value in row) + " |")
    first = next(iter(record("early_stopping", "early_stopping")["cases"].values()))
    hidden = [row for row in first["bounds"] if row["undecided"] is not None][-1]
    return {"clamp_table": "\n".join(lines), "bounds_undecided": f"{100 * hidden['undecided']:.0f} %"}


def costs() -> dict[str, Any]:
    """Return what it costs to come within a point of the trained networks."""
    found, noted = table("accuracy", "costs"), record("accuracy", "accuracy")
    chosen = found[found["reset"] == "subtraction"]
    rows = [
        {
            "dataset": row["dataset"],
            "percentile": f"{row['percentile']:g}",
            "v_init": f"{row['v_init']:g}",
            "steps": f"{row['1_steps']:.0f}",
            "synapses": _span(row, "1_operations"),
            "paper": _span(row, "1_paper_operations"),
            "bought": f"{_span(row, 'bought_paper_operations')} points",
        }
        for _, row in chosen.iterrows()
    ]
    params = noted["params"]
    return {"costs": rows, "accuracy_networks": len(params["seeds"]), "accuracy_images": f"{params['images']:,}"}


def _span(row: pd.Series, name: str) -> str:
    """Return a mean with its interval."""
    return f"{row[name]:.2f} ({row[f'{name}_low']:.2f} to {row[f'{name}_high']:.2f})"


def conformance() -> dict[str, Any]:
    """Return which rule each simulator follows on the network of four layers."""
    noted = record("conformance", "conformance")
    judged = noted["networks"]["cnn"]
    rows = [
        {"peer": f"`{label}`", "verdict": judged[peer]["verdict"]}
        for peer, label in noted["peers"].items()
        if "verdict" in judged.get(peer, {})
    ]
    counts = {each["decisions"] for each in judged.values() if "decisions" in each}
    return {"conformance": rows, "conformance_decisions": " or ".join(f"{count:,}" for count in sorted(counts))}


SECTIONS = (schedule, laws, books, transients, costs, conformance)


def numbers() -> Iterator[tuple[str, Any]]:
    """Yield every number of the note by its name in the template."""
    for section in SECTIONS:
        yield from section().items()


def render() -> str:
    """Return the note in Markdown."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("note.md").render(dict(numbers())) + "\n"


def write_pdf(text: str, path: Path) -> None:
    """Write the note as a PDF, by pandoc and typst."""
    import pypandoc
    import typst

    source = path.with_suffix(".typ")
    options = ["--standalone", "--variable=papersize:a4", "--variable=fontsize:10pt", "--variable=margin.x:2.2cm"]
    source.write_text(pypandoc.convert_text(text, "typst", format="markdown", extra_args=options), "utf-8")
    try:
        typst.compile(source, output=path)
    finally:
        source.unlink()


def main() -> None:
    """Write the note."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder to write into")
    parser.add_argument("--pdf", action="store_true", help="make the PDF too (pip install brian-snn[note])")
    options = parser.parse_args()
    text = render()
    (options.docs / "note.md").write_text(text, "utf-8")
    if options.pdf:
        write_pdf(text, options.docs / "note.pdf")


if __name__ == "__main__":
    main()
