"""How many files are decoded at a time: Pillow lets other threads work meanwhile."""

from __future__ import annotations

import os

COUNT = min(8, len(os.sched_getaffinity(0)))
"""Threads that decode: one for each processor, and no more than bound memory."""
