"""A plugin that ends the process after the first training step: how long has it taken to get there?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from zoo import RunContext, hookimpl

if TYPE_CHECKING:
    import keras


@hookimpl
def register_callbacks(run: RunContext) -> Iterable[keras.callbacks.Callback]:
    """Return a callback that ends the process."""
    import keras

    class End(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            os._exit(0)

    return [End()]
