"""Utilities for files, signals, text and hardware, which any package and any plugin may use."""

from __future__ import annotations

from zoo.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
