"""From a trained model to a normalised graph of populations and projections; knows nothing of Brian2."""
