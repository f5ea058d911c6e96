"""Entries, catalogs, hooks, and how plugins are found and loaded."""
