"""Image files in class folders, streamed from disk."""
