"""Settings that make models small, for tests that train many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "convmixer": {"depth": 2, "width": 16},
    "resnet-20": {"depth": 8},
    "resnet-32": {"depth": 8, "width": 4},
    "vit-tiny": {"depth": 2, "width": 24},
    "wrn-16-4": {"depth": 10, "widening": 1},
}
"""By name; the others are small as they are."""
