"""How the address of a Ray cluster is written."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"local|auto|(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):[0-9]{1,5}")


def is_address(text: str) -> bool:
    """Return whether a text is ``HOST:PORT``, ``auto`` or ``local``, which is not all that Ray takes."""
    return _ADDRESS.fullmatch(text) is not None
