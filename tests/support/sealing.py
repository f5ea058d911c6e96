"""Records with the digest that zoo writes with them, and without it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def seal(content: Mapping[str, Any]) -> bytes:
    """Return what could be in a ``run.json`` or a manifest, sealed as if zoo had written it."""
    body = json.dumps(content, indent=2).removesuffix("\n}").encode()
    return body + f',\n  "sha256": "{hashlib.sha256(body).hexdigest()}"\n}}\n'.encode()


def unsealed(path: Path) -> dict[str, Any]:
    """Return the content of such a file without its seal."""
    content: dict[str, Any] = json.loads(path.read_bytes())
    del content["sha256"]
    return content
