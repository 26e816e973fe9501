"""The whole report: the sections in their order, rendered into one HTML page that needs nothing but itself."""

from __future__ import annotations

from importlib import resources

import jinja2

from brian_snn.analysis.verdict import holds, verdict
from brian_snn.escaping import shown
from brian_snn.plotting.style import RESET_LABELS
from brian_snn.report import explained, measured, provenance
from brian_snn.report.blocks import Page
from brian_snn.report.gather import Run
from brian_snn.version import __version__

_SECTIONS = (
    measured.answers,
    measured.network,
    measured.spikes,
    measured.residuals,
    explained.rates,
    explained.error,
    explained.certified,
    explained.raster,
    provenance.provenance,
    provenance.reproduce,
)


def compose(run: Run) -> Page:
    """Return the page of a run."""
    settings, n_images = run.result.settings, len(run.result.images)
    model = run.result.network.provenance.get("model")
    subtitle = (
        f"{n_images:,} images, {settings.steps} steps of {1e3 * float(settings.dt):.15g} ms each, "
        f"{RESET_LABELS[settings.reset]}; the run {run.folder.resolve().name}"
    )
    return Page(
        title=f"{model} as a spiking network" if model else "A spiking network",
        subtitle=subtitle,
        verdict=verdict(run.verification),
        holds=holds(run.verification),
        numbers=measured.head_numbers(run),
        sections=tuple(section(run) for section in _SECTIONS),
    )


def render(page: Page) -> str:
    """Return a page as HTML; whatever came from files is escaped, and what does not print is written out."""
    folder = resources.files("brian_snn.report").joinpath("templates")
    templates = {name: folder.joinpath(name).read_text("utf-8") for name in ("report.html", "report.css")}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(templates),
        autoescape=True,
        finalize=lambda value: shown(value) if type(value) is str else value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(page=page, version=__version__)
