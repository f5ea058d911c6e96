"""What the import of a plugin must not do to the process: set variables, leave threads running, take Ctrl-C."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import traceback
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.errors import PluginError
from zoo.utils.variables import is_of_the_user

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator


def user_variables() -> dict[str, str]:
    """Return the environment variables that are set and that are the user's choice alone."""
    return {name: value for name, value in os.environ.items() if is_of_the_user(name)}


@contextlib.contextmanager
def variables_kept() -> Iterator[None]:
    """Restore the environment variables that are the user's choice alone."""
    before = user_variables()
    try:
        yield
    finally:
        for name in user_variables().keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Keep what a plugin prints, its warning filters and its errors in finalizers from mixing with other code's."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            yield
    finally:
        sys.unraisablehook = hook


def release(error: BaseException) -> None:
    """Free what the functions that an error ended hold, so that it cleans up now, not when the error is forgotten."""
    several: list[BaseException | None] = [error]
    seen: set[int] = set()
    while several:
        each = several.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        traceback.clear_frames(each.__traceback__)
        several += [each.__context__, each.__cause__]
    gc.collect()  # they may hold each other


def check_left_behind(threads: set[threading.Thread], variables: dict[str, str]) -> None:
    """Raise `PluginError` if a plugin's import changed the process for all other plugins.

    Args:
        threads: The threads that ran before.
        variables: What `user_variables` returned before.
    """
    now = user_variables()
    if changed := sorted(name for name in {*variables, *now} if variables.get(name) != now.get(name)):
        raise PluginError(
            f"it sets {changed[0]} on import, which would apply to every plugin; leave the choice to the user. "
            f"Received: {changed[0]}={now.get(changed[0])!r:.100}"
        )
    if new := new_threads(threads):
        raise PluginError(
            "it starts a thread on import, which would keep every command from exiting; start it only when it is "
            f"needed, with daemon=True. Received: thread={new[0].name!r}"
        )


def new_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    """Return the threads that Python waits for at its end and that did not run before."""
    return [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]


@dataclass
class Interrupts:
    """Whether Ctrl-C was pressed, as opposed to a plugin raising KeyboardInterrupt."""

    received: bool = False


@contextlib.contextmanager
def noted_interrupts() -> Iterator[Interrupts]:
    """Record whether Ctrl-C is pressed while a plugin is loaded; the signal is still handled as before."""
    noted = Interrupts()
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield noted  # signal handlers do not run in this thread
        return

    def note(number: int, frame: types.FrameType | None) -> None:
        noted.received = True
        handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, handler)
