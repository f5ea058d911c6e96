"""Literal types that multiple packages share."""

from __future__ import annotations

from typing import Literal

Status = Literal["training", "trained", "tested", "failed", "interrupted", "imported"]
"""The state of a run: how far it has progressed, or how it ended."""

Goal = Literal["trained", "tested"]
"""The final status of a complete run: trained and saved, or also tested."""
