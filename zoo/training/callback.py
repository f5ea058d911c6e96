"""Base class of a plugin's callbacks. Importing this module imports Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras  # the base class below derives from Keras's; this module is imported when `zoo.Callback` is used

from zoo.interfaces import check_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.runs.records import CallbackState
    from zoo.runs.run_folder import Run


class Callback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """A Keras callback that can be resumed and hears the end of a run.

    Any `keras.callbacks.Callback` works as well. A misspelled method of this class is an error.
    """

    def __init_subclass__(cls) -> None:
        """Raise `PluginError` if the name of a method is close to, but not, one that Keras or zoo calls."""
        super().__init_subclass__()
        check_attributes(cls)

    def state(self) -> CallbackState:
        """Return what decisions depend on: numbers, strings, booleans and None, by name. Saved in checkpoints."""
        return {}

    def restore(self, state: Mapping[str, bool | int | float | str | None]) -> None:
        """Restore a `state`. Called when a run is resumed."""

    def on_run_end(self, run: Run) -> None:
        """Called when the run ends: after all files of a successful run are written, or a failure is recorded."""
