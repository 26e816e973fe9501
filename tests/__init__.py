"""Tests of brian_snn."""
