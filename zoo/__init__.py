"""A plugin-based model zoo: one command trains, saves, loads and tests any registered model on any dataset.

``__init__.pyi`` lists the public names. Each is imported when it is first used.
"""

from __future__ import annotations

from typing import Any

from zoo.utils.lazy import attach

_get, __dir__, __all__ = attach(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("keras-zoo")
    return _get(name)
