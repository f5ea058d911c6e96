"""Keep freed memory in the process, so that training steps do not request the same pages from the kernel again.

Every training step allocates and frees the same activations. By default, glibc returns large freed blocks to the
kernel, which must clear every page when the next step requests it. That can take as long as the arithmetic.
"""

from __future__ import annotations

import ctypes
import os

VARIABLE = "ZOO_KEEP_MEMORY"
"""Environment variable that turns this off: ``ZOO_KEEP_MEMORY=0``."""

# numbers and meanings: mallopt(3)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_NEVER = 2**31 - 1
_LARGEST_BLOCKS = (1 << 30, 1 << 25)  # bytes; glibc before 2.35 refuses more than 32 MiB
# more than a 64 MiB heap for other threads, so that such heaps are not returned either
_PAD = 256 << 20


def keep_freed_memory() -> bool:
    """Make glibc's ``malloc`` keep the memory that this process frees, and return whether that succeeded.

    Call it before the backend is imported. It does not change computed values. The process's memory use stays at its
    peak until the process ends. Does nothing if the C library is not glibc or ``ZOO_KEEP_MEMORY`` is ``0``.
    """
    if os.environ.get(VARIABLE) == "0":
        return False
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  # raises if the C library is not glibc
        mallopt = libc.mallopt
    except (AttributeError, OSError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    blocks_are_kept = any(mallopt(_MMAP_THRESHOLD, size) for size in _LARGEST_BLOCKS)
    others = [mallopt(_TRIM_THRESHOLD, _NEVER), mallopt(_TOP_PAD, _PAD)]
    return blocks_are_kept and all(others)
