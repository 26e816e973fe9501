"""Exact simulation of a converted network in Brian2."""
