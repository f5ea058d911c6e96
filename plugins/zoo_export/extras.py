"""Which packages are installed, found without importing them."""

from __future__ import annotations

from importlib.util import find_spec

from zoo.utils import missing_extra


def check_installed(what: str, extra: str, *modules: str) -> None:
    """Raise `PluginError` unless all modules of an extra are installed.

    Args:
        what: The feature that needs them, as the beginning of a sentence.
        extra: Name of the extra.
        modules: Names of the modules.
    """
    for name in modules:
        if find_spec(name) is None:
            raise missing_extra(what, extra, f"no module named {name!r}")
