"""Types of the fields of records, with bounds.

The bounds are far beyond any real run, so that no one computes with absurd numbers, or prints endless texts, from a
damaged or untrusted file.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
"""Numbers of epochs, steps and the like."""
Images = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
Number = Annotated[float, msgspec.Meta(ge=-1e30, le=1e30)]
"""Metrics and other numbers."""
Distance = Annotated[float, msgspec.Meta(ge=0, le=1e30)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1 + 1e-6)]  # a mean in float32 may round up
Duration = Annotated[float, msgspec.Meta(ge=0, le=1e10)]
"""Seconds."""
Name = Annotated[str, msgspec.Meta(max_length=1_000)]
"""Names, versions, times and digests."""
Text = Annotated[str, msgspec.Meta(max_length=100_000)]
"""Messages, paths and settings."""
Setting = bool | int | float | Text | None | list[bool | int | float | Text | None]
