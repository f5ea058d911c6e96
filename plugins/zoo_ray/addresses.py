"""Addresses of Ray clusters: their syntax, and whether they can be reached."""

from __future__ import annotations

import re
import socket

_ADDRESS = re.compile(r"local|auto|(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):[0-9]{1,5}")
_ANSWER = 10.0  # seconds in which a cluster must accept a connection


def is_address(text: str) -> bool:
    """Return whether a text is ``HOST:PORT``, ``auto`` or ``local``. Other addresses that Ray accepts are refused."""
    return _ADDRESS.fullmatch(text) is not None


def check_reachable(address: str) -> None:
    """Raise `OSError` if an address is ``HOST:PORT`` and nothing listens there: Ray would retry for minutes."""
    host, colon, port = address.rpartition(":")
    if colon:
        try:
            socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
        except OverflowError as error:  # five digits can exceed the largest port
            raise OSError(str(error)) from error
