"""How the address of a Ray cluster is written, and whether anybody is there."""

from __future__ import annotations

import re
import socket

_ADDRESS = re.compile(r"local|auto|(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):[0-9]{1,5}")
_ANSWER = 10.0  # seconds that a cluster may take to take a connection


def is_address(text: str) -> bool:
    """Return whether a text is ``HOST:PORT``, ``auto`` or ``local``, which is not all that Ray takes."""
    return _ADDRESS.fullmatch(text) is not None


def check_reachable(address: str) -> None:
    """Raise `OSError` if an address is ``HOST:PORT`` and nobody listens there: Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon:
        try:
            socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
        except OverflowError as error:  # five digits are not always a port
            raise OSError(str(error)) from error
