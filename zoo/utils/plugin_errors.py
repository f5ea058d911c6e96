"""Faults of plugins' code, told as theirs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from zoo.errors import PluginError, ZooError
from zoo.utils.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def blaming(who: str, verb: str) -> Iterator[None]:
    """Turn whatever the code of ``"model mine/net"`` raises into an error that names it."""
    try:
        yield
    except ZooError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"The {who} failed to {verb}: {one_line(error)}") from error
