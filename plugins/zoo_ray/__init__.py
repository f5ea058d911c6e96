"""More than one process: sweeps over settings, and data-parallel training, on Ray where its extra is installed."""

from __future__ import annotations
