"""A run carried out: train, save, load, test; and the public functions."""
