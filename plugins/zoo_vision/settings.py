"""Types of the architectures' settings, with their bounds."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
"""Number of channels, units, heads, or pixels per side."""

Depth = Annotated[int, Meta(ge=1, le=2000)]
"""Number of layers or blocks; bounded because larger models take too long to build."""

Rate = Annotated[float, Meta(ge=0, lt=1)]
"""Dropout rate."""
