"""Literal types that several packages share."""

from __future__ import annotations

from typing import Literal

Monitor = Literal["loss", "accuracy"]
"""The validation metric that the best epoch is chosen by."""

Status = Literal["training", "trained", "tested", "failed", "interrupted"]
"""How far a run is, or how it ended."""

Goal = Literal["trained", "tested"]
"""What a run is to end as: trained and saved, or tested too."""
