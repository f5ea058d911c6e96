"""Optional dependencies (extras), and the error for a missing one."""

from __future__ import annotations

from zoo.errors import PluginError


def missing_extra(what: str, extra: str, received: str) -> PluginError:
    """Return an error, for the caller to raise, that says which extra of keras-zoo to install.

    Args:
        what: The feature that needs the extra, as the beginning of a sentence.
        extra: Name of the extra.
        received: The evidence that it is missing: ``"no module named 'sklearn'"``.
    """
    return PluginError(
        f'{what} needs an extra of keras-zoo. Install it with: pip install "keras-zoo[{extra}]". Received: {received}'
    )
