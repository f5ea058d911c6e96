"""Saves two of the five seconds of CPU time that importing Keras takes in the processes that tests start.

Where scikit-learn, pandas, JAX, Matplotlib and SciPy are installed, as they are for the tests, Keras imports them for
its wrappers, data frames, a callback and pictures, and TensorFlow for a converter and sparse matrices. No test uses
these. Other imports of the five work. And garbage collections leave out what the imports of Keras and its backend
create, as on the command line: to look at it takes half a second during the import and a second at the end.

Where `ZOO_TESTS_PICTURES` is ``blank``, a run writes a single pixel for each of its two pictures, which take a third of
the time of a small run. The fixture `pictures` has them drawn.

Python imports this module at startup, since `tests/conftest.py` adds its folder to ``PYTHONPATH``; and that imports it.
"""

from __future__ import annotations

import base64
import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_UNUSED = {
    "jax": ("keras.src.callbacks.", "tensorflow."),
    "matplotlib": ("keras.src.visualization.",),
    "pandas": ("keras.src.trainers.",),
    "scipy": ("tensorflow.python.keras.",),
    "sklearn": ("keras.src.wrappers.",),
}
_LARGE = ("jax", "keras", "tensorflow")
_PLOTS = "zoo.pipeline.plots"
_BLANK = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)


class _Finder:
    """Says of a module that it does not exist, to importers that make no use of it; and changes how some are loaded."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name in _UNUSED and _importer().startswith(_UNUSED[name]):
            raise ModuleNotFoundError(f"hidden by {__name__}", name=name)
        load = _without_collection if name in _LARGE else _with_blank_pictures if name == _PLOTS else None
        spec = PathFinder.find_spec(name, path, target) if load else None
        if load and spec and spec.loader:
            spec.loader.exec_module = load(spec.loader.exec_module)  # type: ignore[assignment,method-assign]
        return spec


def _importer() -> str:
    frame = sys._getframe(2)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("importlib."):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", ""))


def _without_collection(load: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    """Return what loads a module without garbage collection."""

    def loads(module: ModuleType) -> None:
        is_on = gc.isenabled()
        gc.disable()
        try:
            load(module)
        finally:
            gc.freeze()
            if is_on:
                gc.enable()

    return loads


def _with_blank_pictures(load: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    """Return what loads the module that draws, and has it ask at each picture whether it is to be blank."""

    def loads(module: ModuleType) -> None:
        load(module)
        for name in ("draw_predictions", "draw_curves"):
            setattr(module, name, _unless_blank(getattr(module, name)))

    return loads


def _unless_blank(draw: Callable[..., bytes]) -> Callable[..., bytes]:
    def drawn(*arguments: Any) -> bytes:
        return _BLANK if os.environ.get("ZOO_TESTS_PICTURES") == "blank" else draw(*arguments)

    return drawn


sys.meta_path.insert(0, _Finder)
