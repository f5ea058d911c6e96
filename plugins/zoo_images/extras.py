"""Libraries that not everybody needs: imported here, or it is said what to install."""

from __future__ import annotations

import importlib
from typing import Any

from zoo import PluginError


def require(module: str, extra: str, what: str) -> Any:
    """Return a module of an extra's library.

    Args:
        module: Its name, ``"PIL.Image"``.
        extra: The extra that it comes with.
        what: What needs it, to begin a sentence.

    Raises:
        PluginError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        raise PluginError(
            f'{what} needs an extra of keras-zoo: pip install "keras-zoo[{extra}]". '
            f"Received: no module named {error.name or library!r}"
        ) from error
