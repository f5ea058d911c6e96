"""Where bfloat16 can be computed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.utils import hardware

# TensorFlow asks the processor, and not oneDNN, whether bfloat16 is possible
computes_bfloat16 = pytest.mark.skipif(
    "avx512f" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    and "avx512f" not in (hardware.instruction_sets() or ()),
    reason="TensorFlow crashes in bfloat16 where ONEDNN_MAX_CPU_ISA rules out the AVX-512 that a processor has",
)
