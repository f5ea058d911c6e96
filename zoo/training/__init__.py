"""The epoch loop, callbacks, checkpointing and metrics."""
