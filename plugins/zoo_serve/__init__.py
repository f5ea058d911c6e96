"""The command ``zoo serve``: a model as an HTTP service, with a page for people."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_commands() -> list[Entry]:
    """Return the command ``serve``."""
    return [Entry(name="serve", target="zoo_serve.command:serve", summary="Serve a model over HTTP, with a page.")]
