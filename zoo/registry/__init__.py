"""Entries, catalogs, hooks, and the discovery and loading of plugins."""
