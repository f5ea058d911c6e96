"""The run folder on disk: records, checkpoints, predictions."""
