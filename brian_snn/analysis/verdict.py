"""What a report of `brian_snn.verify` comes to: whether all holds, and of how many images that was seen."""

from __future__ import annotations

import pandas as pd

from brian_snn.escaping import shown


def holds(report: pd.DataFrame) -> bool:
    """Return whether every equation holds wherever it applies."""
    return bool(report["holds"].all())


def compared(report: pd.DataFrame) -> str:
    """Return in words of how many images the books balance, and of how many the dynamics was replayed.

    Parameters
    ----------
    report : DataFrame
        Of `brian_snn.verify`, or several of them for different images, one below the other.
    """
    numbers = [replayed(group) for _, group in report.groupby("population", sort=False)]
    n_images = max(n for _, n in numbers)
    fewest, most = min(n for n, _ in numbers), max(n for n, _ in numbers)
    books = f"books of all {n_images:,} images" if n_images > 1 else "books of the one image"
    if fewest == most:
        return f"{books}, dynamics of {fewest:,} of {n_images:,}"
    return f"{books}, dynamics of {fewest:,} of {n_images:,} (of {most:,} where the input is constant)"


def replayed(group: pd.DataFrame) -> tuple[int, int]:
    """Return for how many images the dynamics of a population was replayed, and how many there are."""
    by_equation = group.groupby("equation")["images"].sum()
    return int(by_equation.get("spikes", 0)), int(by_equation.max())


def verdict(report: pd.DataFrame) -> str:
    """Return one line: what was compared if all holds, otherwise what fails."""
    if holds(report):
        return f"verified: {compared(report)}"
    failed = ", ".join(
        shown(f"{row['equation']} in {row['population']}") for _, row in report[~report["holds"]].iterrows()
    )
    return f"VERIFICATION FAILED: {failed}"
