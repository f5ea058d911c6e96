"""Functions of a library put in the place of others for a while, in one thread alone."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOCK = threading.Lock()
_DISPATCHERS: dict[tuple[str, str], _Dispatcher] = {}


class _Dispatcher:
    """Stands in a module's place for a function: calls what the calling thread has put there, else the function."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self.original = original
        self.by_thread: dict[int, list[Callable[..., Any]]] = {}

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        functions = self.by_thread.get(threading.get_ident())
        return (functions[-1] if functions else self.original)(*arguments, **options)


def original_of(module: Any, name: str) -> Callable[..., Any]:
    """Return a module's own function, whatever has been put in its place."""
    function: Callable[..., Any] = getattr(module, name)
    return function.original if isinstance(function, _Dispatcher) else function


@contextlib.contextmanager
def replaced(module: Any, **functions: Callable[..., Any]) -> Iterator[None]:
    """Put functions in the place of those of a module, for calls from this thread.

    Threads may do so at the same time; when the last has left, the module is as it was.
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
