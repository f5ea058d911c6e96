"""The run folder on disk: records, checkpoints, predictions; and measures of predictions."""

from __future__ import annotations

from zoo.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
