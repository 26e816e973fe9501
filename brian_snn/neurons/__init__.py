"""The neuron models, and the random numbers that some of them draw."""
