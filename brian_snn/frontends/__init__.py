"""From a model of some framework to a `LayerGraph`, one package a framework."""
