"""Freed memory kept by the process, so that each training step does not ask the kernel for the same pages again.

A training step allocates and frees the same activations every time. By default glibc gives large freed blocks back to
the kernel, which must clear every page when the next step asks for it. That can take as long as the arithmetic.
"""

from __future__ import annotations

import ctypes
import os

VARIABLE = "ZOO_KEEP_MEMORY"
"""Environment variable that switches this off: ``ZOO_KEEP_MEMORY=0``."""

# numbers and meanings: mallopt(3)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_NEVER = 2**31 - 1
_LARGEST_BLOCKS = (1 << 30, 1 << 25)  # bytes; glibc before 2.35 refuses more than 32 MiB
# more than the 64 MiB of a heap that serves the other threads: such a heap is then not given back either
_PAD = 256 << 20


def keep_freed_memory() -> bool:
    """Make glibc's ``malloc`` keep the memory that this process frees; return whether it does.

    Call it before the backend is imported. Values computed are not affected. The process's memory stays at its peak
    until the process ends. Where the C library is not glibc, or ``ZOO_KEEP_MEMORY`` is ``0``, nothing happens.
    """
    if os.environ.get(VARIABLE) == "0":
        return False
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  # raises where the library is another
        mallopt = libc.mallopt
    except (AttributeError, OSError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    blocks_are_kept = any(mallopt(_MMAP_THRESHOLD, size) for size in _LARGEST_BLOCKS)
    others = [mallopt(_TRIM_THRESHOLD, _NEVER), mallopt(_TOP_PAD, _PAD)]
    return blocks_are_kept and all(others)
