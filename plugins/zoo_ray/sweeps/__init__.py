"""Sweeps: many trials of recipes, in processes of their own, and the best of them by validation."""
