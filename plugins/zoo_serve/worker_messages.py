"""Messages between a service and its worker processes."""

from __future__ import annotations

import msgspec

from zoo_serve.guard import Guard  # noqa: TC001  # msgspec reads the types of fields
from zoo_serve.limits import Limits  # noqa: TC001

CONNECTION = b"connection"
"""What the service sends with the descriptor of a connection."""

LONGEST = 1 << 16
"""Maximum length of a message of a worker, in bytes."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker has to do.

    Args:
        source: Run folder, recipe or exported file to serve.
        plugin_files: Python files to load as plugins.
        name: Name of the model in paths; None for that of its recipe.
        use_keras: Whether the Keras model is wanted.
        is_quiet: Whether to write no line for each request.
        service: Process ID of the service.
        is_first: Whether it is the first worker, which says what all of them do.
        guard: Checks every request.
        limits: Limits of this worker.
        threads: Maximum number of threads that compute.
    """

    source: str
    plugin_files: list[str]
    name: str | None
    use_keras: bool
    is_quiet: bool
    service: int
    is_first: bool = False
    guard: Guard
    limits: Limits
    threads: int


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The model is loaded.

    Args:
        title: The model and what runs it.
        name: Name of the model in paths.
    """

    title: str
    name: str


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The model cannot be served.

    Args:
        error: Why.
    """

    error: str


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Connections have ended.

    Args:
        count: How many so far.
    """

    count: int


FromWorker = Ready | Failed | Ended
