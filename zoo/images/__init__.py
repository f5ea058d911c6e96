"""Reading of image files as people have them, and their preprocessing for a model."""

from __future__ import annotations

from zoo.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
