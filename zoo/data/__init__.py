"""Examples, splits, and data sets loaded."""
