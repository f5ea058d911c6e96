"""The command line with the tests' small recipe, for tests that need a process of its own."""

from __future__ import annotations

from zoo.cli import main
from zoo.cli.session import Session

from .conftest import make_registry

if __name__ == "__main__":
    session = Session()
    session.registry = make_registry()
    main(session=session)
