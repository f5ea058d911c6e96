"""Libraries that not everybody needs, and what is said where one is missing."""

from __future__ import annotations

from zoo.errors import PluginError


def missing_extra(what: str, extra: str, received: str) -> PluginError:
    """Return the error, to be raised, that says which extra of keras-zoo to install.

    Args:
        what: What needs it, to begin a sentence.
        extra: Its name.
        received: What shows that it is missing: ``"no module named 'sklearn'"``.
    """
    return PluginError(f'{what} needs an extra of keras-zoo: pip install "keras-zoo[{extra}]". Received: {received}')
