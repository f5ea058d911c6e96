"""The command line with the tests' small recipe, for tests that need a process of its own."""

from __future__ import annotations

import signal

from tests.support.small_recipe import make_registry
from zoo.cli import main
from zoo.cli.context import Session

if __name__ == "__main__":
    # a shell that starts the tests in the background has Ctrl-C ignored, and its children inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    session = Session()
    session.registry = make_registry()
    main(session=session)
