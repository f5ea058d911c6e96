"""Temporary replacement of library functions, limited to the calling thread."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOCK = threading.Lock()
_DISPATCHERS: dict[tuple[str, str], _Dispatcher] = {}


class _Dispatcher:
    """Takes the place of a module's function: calls the calling thread's replacement, or else the original."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self.original = original
        self.by_thread: dict[int, list[Callable[..., Any]]] = {}

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        functions = self.by_thread.get(threading.get_ident())
        return (functions[-1] if functions else self.original)(*arguments, **options)


def original_of(module: Any, name: str) -> Callable[..., Any]:
    """Return a module's original function, even while it is replaced."""
    function: Callable[..., Any] = getattr(module, name)
    return function.original if isinstance(function, _Dispatcher) else function


@contextlib.contextmanager
def replaced(module: Any, **functions: Callable[..., Any]) -> Iterator[None]:
    """Replace functions of a module for calls from this thread.

    Threads may do this at the same time. When the last one leaves the block, the original functions are back.
    """
    thread = threading.get_ident()
    with _LOCK:
        for name, function in functions.items():
            dispatcher = _DISPATCHERS.setdefault((module.__name__, name), _Dispatcher(original_of(module, name)))
            dispatcher.by_thread.setdefault(thread, []).append(function)
            setattr(module, name, dispatcher)
    try:
        yield
    finally:
        with _LOCK:
            for name in functions:
                dispatcher = _DISPATCHERS[module.__name__, name]
                dispatcher.by_thread[thread].pop()
                if not dispatcher.by_thread[thread]:
                    del dispatcher.by_thread[thread]
                if not dispatcher.by_thread:
                    setattr(module, name, dispatcher.original)
                    del _DISPATCHERS[module.__name__, name]
