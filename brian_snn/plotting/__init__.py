"""Figures of Matplotlib: pictures of a result on an Axes, and the parts that all figures are made of."""

from brian_snn.plotting.results import accuracy_plot, correlation_plot, error_plot, raster_plot

__all__ = ["accuracy_plot", "correlation_plot", "error_plot", "raster_plot"]
