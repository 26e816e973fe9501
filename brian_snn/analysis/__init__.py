"""Check the simulated firing rates against the equations, neuron by neuron; count operations."""
