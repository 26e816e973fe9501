"""Spiking networks of other simulators: NIR in and out."""
