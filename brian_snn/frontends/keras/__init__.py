"""The front end for Keras: its files, its layers, its own reference activations and maps."""
