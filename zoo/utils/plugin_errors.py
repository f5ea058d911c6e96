"""Report errors raised by a plugin's code as errors of that plugin."""

from __future__ import annotations

import contextlib
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import PluginError, ZooError
from zoo.utils.signals import may_be_signal
from zoo.utils.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

# "model mine/net", "training images of dataset mine/photos", "callbacks of plugin 'mine'"; not "model of runs/first"
_PLUGIN = re.compile(
    r"\b(?:dataset|model|trainer|optimizer|schedule|loss|augmentation|metric|callback|tracker|exporter|command)"
    r" ([\w.-]+)/"
    r"|\bplugin '([^']+)'"
)
_NOT_THE_PLUGIN = frozenset(("absl", "jax", "jaxlib", "keras", "numpy", "ray", "tensorflow", "torch", "zoo"))


def plugin_of(who: str) -> str | None:
    """Return the plugin that a description names, or None: ``"mine"`` for ``"model mine/net"``."""
    named = _PLUGIN.search(who)
    return (named[1] or named[2]) if named else None


@contextlib.contextmanager
def plugin_errors(who: str, verb: str) -> Iterator[None]:
    """Convert any error that the code of ``"model mine/net"`` raises to one that names the plugin, file and line."""
    try:
        yield
    except ZooError:
        raise
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt) and may_be_signal(error):
            raise
        file, line = _place(error)
        where = "" if file is None else f" ({Path(file).name}, line {line})"
        raise PluginError(
            f"The {who} failed to {verb}: {one_line(error)}{where}",
            plugin=plugin_of(who),
            file=file,
            line=line,
        ) from error


def _place(error: BaseException) -> tuple[str, int] | tuple[None, None]:
    """Return the file and line of the innermost call outside of zoo, known libraries and the standard library."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        root = str(frame.f_globals.get("__name__")).partition(".")[0]
        if root not in _NOT_THE_PLUGIN and root not in sys.stdlib_module_names:
            return frame.f_code.co_filename, line
    return None, None
