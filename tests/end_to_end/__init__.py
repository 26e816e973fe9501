"""Whole networks: model, settings, backend against the oracle."""
