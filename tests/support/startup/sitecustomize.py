"""Saves 1.5 of the 5 seconds of CPU time that importing Keras takes in the processes that tests start.

Where scikit-learn and JAX are installed, as they are for the tests, Keras imports the one for its wrappers and the
other for a callback, and TensorFlow imports JAX for a converter. No test uses these. Other imports of the two work.

Python imports this module at startup, since `tests/conftest.py` adds its folder to ``PYTHONPATH``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_UNUSED = {"sklearn": ("keras.src.wrappers.",), "jax": ("keras.src.callbacks.", "tensorflow.")}


class _Finder:
    """Says of a module that it does not exist, to importers that make no use of it."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name in _UNUSED and _importer().startswith(_UNUSED[name]):
            raise ModuleNotFoundError(f"hidden by {__name__}", name=name)
        return None


def _importer() -> str:
    frame = sys._getframe(2)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("importlib."):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", ""))


sys.meta_path.insert(0, _Finder)
