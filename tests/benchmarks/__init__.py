"""Benchmarks: not part of the default run. CONTRIBUTING says how to compare two commits."""
