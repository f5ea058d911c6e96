"""API keys: read from a file, and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_MAX_BYTES = 1 << 16
_SHORTEST = 16


@dataclass(frozen=True)
class ApiKeys:
    """The keys that the service accepts. Only their digests are kept.

    Args:
        digests: SHA-256 of each key.
    """

    digests: tuple[bytes, ...]

    @classmethod
    def of(cls, keys: Iterable[str]) -> ApiKeys:
        """Return the keys in a form that does not tell them."""
        return cls(tuple(_digest(key) for key in keys))

    @classmethod
    def from_file(cls, path: Path) -> ApiKeys:
        """Read keys from a file with one key a line. Empty lines are skipped.

        Raises:
            SettingError: The file cannot be read, has no key, or has one that is too short or not printable ASCII.
        """
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise SettingError(
                f"The file of API keys cannot be read: {error.strerror}. Received: --api-key-file {str(path)!r}",
                name="api_key_file",
                value=path,
            ) from error
        keys = [line.strip() for line in content.decode("latin-1").splitlines() if line.strip()]
        fault = _fault(keys, content)
        if fault:
            raise SettingError(
                f"{fault} Write one key a line, of at least {_SHORTEST} letters and digits; create one with: "
                f'python -c "import secrets; print(secrets.token_urlsafe())". Received: --api-key-file {str(path)!r}',
                name="api_key_file",
                value=path,
            )
        return cls.of(keys)

    def is_valid(self, headers: Mapping[str, str]) -> bool:
        """Return whether the headers of a request have a valid key: ``Authorization: Bearer KEY`` or ``X-API-Key``."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        key = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "").strip()
        digest = _digest(key)
        found = False
        for known in self.digests:  # all of them, so that the time does not tell which one is close
            found |= hmac.compare_digest(digest, known)
        return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _fault(keys: list[str], content: bytes) -> str | None:
    if len(content) > _MAX_BYTES:
        return "The file of API keys is too large."
    if not keys:
        return "The file of API keys has no key."
    if any(not key.isascii() or not key.isprintable() or " " in key for key in keys):
        return "The file of API keys has a key with a space, or one that is not printable ASCII."
    if any(len(key) < _SHORTEST for key in keys):
        return "The file of API keys has a key that is too short."
    return None
