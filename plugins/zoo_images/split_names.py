"""Names of splits: what folders, tables, columns and arrays of a split are usually called."""

from __future__ import annotations

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}
"""Splits of a dataset, in order, and their usual names, in lowercase."""

SPLIT_OF = {name: split for split, names in SPLIT_NAMES.items() for name in names}
"""The split that each of these names stands for."""
