"""Who may send requests: pages of other sites may not, and clients may need a key."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from zoo_serve.keys import ApiKeys  # noqa: TC001  # other processes get a guard as JSON, by the types of its fields

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
"""Names by which programs of this machine call it."""

HEALTH = ("/v2/health/live", "/v2/health/ready")
"""Paths for probes, which need no key."""

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_SAFE = ("GET", "HEAD")


@dataclass(frozen=True)
class Guard:
    """Checks a request before anything else is done with it.

    Args:
        hosts: Names that the ``Host`` header may have, in lower case and without a port; None for any. Another name
            means that a page of another site had its name resolve to this machine (DNS rebinding).
        keys: The valid API keys; None if no key is needed.
        is_public: Whether other machines reach the service. The ``Host`` header may then be any IP address too, which
            no page of another site can cause, and anything at the paths for probes.
    """

    hosts: frozenset[str] | None
    keys: ApiKeys | None
    is_public: bool = False

    @property
    def has_keys(self) -> bool:
        """Whether requests need a key."""
        return self.keys is not None

    def check_site(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Check that a request was not caused by a page of another site.

        Raises:
            HTTPException: The ``Host`` header has another name (421), or the page of another site sent it (403).
        """
        host = headers.get("host", "")
        if not self._answers_to(_name(host), path):
            raise HTTPException(
                421, "The service does not answer to this Host. Use its own address, or start it with --allow-host."
            )
        if method in _SAFE:
            return
        origin = headers.get("origin")
        is_other = origin is not None and _netloc(origin) != host.lower()
        if is_other or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise HTTPException(403, "Requests from pages of other sites are refused.")

    def _answers_to(self, name: str, path: str) -> bool:
        if self.hosts is None or name in self.hosts:
            return True
        return self.is_public and (path in HEALTH or _is_address(name))

    def check_key(self, headers: Mapping[str, str]) -> None:
        """Check that a request has a valid key, if it needs one.

        Raises:
            HTTPException: It has none (401).
        """
        if self.keys is not None and not self.keys.is_valid(headers):
            raise HTTPException(
                401,
                "An API key is needed. Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
                {"WWW-Authenticate": "Bearer"},
            )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _netloc(origin: str) -> str:
    """Return host and port of an ``Origin`` header; empty if it has none, as ``null``."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _name(host: str) -> str:
    """Return the name in a ``Host`` header, without its port."""
    found = _HOST.fullmatch(host)
    return "" if found is None else found["name"].strip("[]").lower().rstrip(".")
