"""The run pipeline (train, save, load, test) and the public functions."""
