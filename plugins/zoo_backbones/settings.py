"""Types of the networks' settings."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

Rate = Annotated[float, Meta(ge=0, lt=1)]
"""Dropout rate, or momentum of moving averages."""

Channels = Literal["repeat", "sum"]
"""How grayscale images enter a network for color images."""

Normalization = Literal["keras", "imagenet", "half", "none"]
"""How pixels in [0, 1] are normalized; ``keras`` is what the network's weights in `keras.applications` expect."""

LiteNormalization = Literal["half", "imagenet", "none"]
"""The same, for a network that `keras.applications` does not have."""
