"""Import Keras and its backend without their startup messages."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.utils.hardware import enable_onednn
from zoo.utils.matplotlib_import import import_matplotlib
from zoo.utils.signals import check_signals

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def silence_native_stderr() -> Iterator[None]:
    """Discard everything that is written to file descriptor 2, including by native code."""
    with contextlib.ExitStack() as stack:
        try:
            terminal = os.dup(2)
        except OSError:  # descriptor 2 is closed: nothing to discard
            yield
            return
        stack.callback(os.close, terminal)
        stack.callback(os.dup2, terminal, 2)
        nowhere = stack.enter_context(open(os.devnull, "wb"))
        os.dup2(nowhere.fileno(), 2)
        yield


def prepare_keras_import() -> None:
    """Prepare for the first import of Keras in this process, which also imports TensorFlow and Matplotlib.

    Raises:
        ZooError: Keras is not installed.
    """
    if importlib.util.find_spec("keras") is None:
        raise ZooError(
            "Keras is not installed, and only exported files can be used without it. Install keras and tensorflow, or "
            "use a file that `zoo export` wrote. Received: no module named 'keras'"
        )
    enable_onednn()
    with contextlib.suppress(ImportError):  # Keras works without it
        import_matplotlib()


def import_keras() -> None:
    """Import Keras and its backend in a process of our own.

    Garbage collections leave out what the import creates: it stays until the process ends, and looking at all of it
    takes half a second during the import and a second at the end.

    Raises:
        ZooError: Keras or its backend cannot be imported.
    """
    import logging

    prepare_keras_import()
    for name in ("absl", "matplotlib", "tensorflow"):  # hide advice for developers, such as on retracing
        logging.getLogger(name).setLevel(logging.ERROR)
    with silence_native_stderr(), _imported_objects_uncollected(), _wrappers_imported_later():
        try:
            import keras  # noqa: F401  # for its side effects
        except Exception as error:
            cause: BaseException | None = error
            while cause is not None:
                if isinstance(cause, KeyboardInterrupt):  # an extension module replaced it by another exception
                    raise cause from None
                cause = cause.__context__
            raise ZooError(
                f"Keras cannot be imported: {type(error).__name__}: {error}. Check that keras and its backend are "
                f"installed. Received: KERAS_BACKEND={os.environ.get('KERAS_BACKEND')!r}"
            ) from error
    check_signals()  # an exception raised by a signal may be lost in such a large import


@contextlib.contextmanager
def _wrappers_imported_later() -> Iterator[None]:
    """Keep Keras from importing scikit-learn in the block, which takes 0.8 s, for `keras.wrappers`.

    Afterwards, `keras.wrappers` is imported when it is first used, and scikit-learn with it.
    """
    if "keras" in sys.modules or "sklearn" in sys.modules or importlib.util.find_spec("sklearn") is None:
        yield
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment]  # makes its import fail, as if it were not installed
    try:
        yield
    finally:
        del sys.modules["sklearn"]
        loaded = [each for each in sys.modules if each.startswith(("keras.wrappers", "keras.src.wrappers"))]
        for name in loaded:
            del sys.modules[name]
    spec = importlib.util.find_spec("keras.wrappers") if "keras.wrappers" in loaded else None
    if spec is not None and spec.loader is not None:
        spec.loader = importlib.util.LazyLoader(spec.loader)
        wrappers = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(wrappers)
        for package in ("keras", "keras._tf_keras.keras"):
            if package in sys.modules:
                vars(sys.modules[package])["wrappers"] = wrappers
        sys.modules[spec.name] = wrappers


@contextlib.contextmanager
def _imported_objects_uncollected() -> Iterator[None]:
    """Collect no garbage in the block, and never look at what it creates, if it imports Keras."""
    if "keras" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
