"""Import Matplotlib whatever the environment says about windows and notebooks, which pictures in files do not need."""

from __future__ import annotations

import contextlib
import logging
import os
import sys

_BACKEND = "MPLBACKEND"


def import_matplotlib() -> None:
    """Import Matplotlib, also if the environment variable ``MPLBACKEND`` names a backend that is not installed.

    Such a name is inherited from a notebook's shell, for example, and Matplotlib would not be imported at all. A name
    of an installed backend has its effect. Messages about the font cache and missing glyphs are hidden.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    if "matplotlib" in sys.modules or _BACKEND not in os.environ:
        return
    backend = os.environ.pop(_BACKEND)
    try:
        import matplotlib as mpl
    finally:
        os.environ[_BACKEND] = backend
    with contextlib.suppress(ValueError):  # the backend is not installed
        mpl.rcParams["backend"] = backend
