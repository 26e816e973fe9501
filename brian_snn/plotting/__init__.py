"""Figures: one module per kind of figure; each function takes arrays and returns a matplotlib `Figure`."""
