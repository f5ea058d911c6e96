"""The types of the architectures' settings, with their bounds."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
"""How many: channels, units, heads, pixels of a side."""

Depth = Annotated[int, Meta(ge=1, le=2000)]
"""How many layers or blocks; more would only keep one waiting for the model to be built."""

Rate = Annotated[float, Meta(ge=0, lt=1)]
"""A share that dropout takes out."""
