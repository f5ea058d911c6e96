"""Readers of file formats, which run in a child process alone: each returns the arrays of a file."""
