"""Models built, and their weights."""
