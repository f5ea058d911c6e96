"""The size of a model before any of its weights is created, and whether it fits."""

from __future__ import annotations

import os
import time
import warnings
from typing import TYPE_CHECKING

from zoo.errors import PluginError, ZooError, ZooWarning
from zoo.models import weights
from zoo.runs import array_io
from zoo.utils import files
from zoo.utils.bounded import LimitExceededError, TimeExceededError, call_bounded
from zoo.utils.hardware import usable_memory
from zoo.utils.variables import seconds_of

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.recipes.components import Component

_MOST_SECONDS = 20.0  # of processor time, for laying out a model of a record: many times that of our largest model
_VARIABLE = "ZOO_MODEL_SECONDS"


def bytes_of_model(
    component: Component,
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    seconds: float | None = None,
    memory: int | None = None,
) -> int | None:
    """Return the size of a model's weights in bytes without creating them, or None if that fails.

    This calls the builder one extra time, in a separate thread. The thread's Keras state ends with it, so the names and
    random numbers of models built later do not change.

    Args:
        component: The model.
        input_shape: Height, width and channels of an image.
        num_classes: Number of classes.
        seconds: Processor time that the builder may take; None for no limit.
        memory: Memory in bytes that the builder may take; None for no limit.

    Raises:
        LimitExceededError: The builder exceeded a limit.
        RecursionError: The model has too many layers in a row for Keras.
        StopRequested: A signal requested a stop.
    """
    import random

    import keras
    import numpy as np

    def measure() -> int | None:
        keras.config.set_dtype_policy(policy)
        try:
            with keras.StatelessScope(initialize_variables=False):
                return array_io.bytes_needed(weights.layout_of(component.make(input_shape, num_classes)))
        except RecursionError:  # creating the weights as well would take longer, and fail in the same way
            raise
        except (Exception, SystemExit, KeyboardInterrupt):  # errors are reported when the model is built
            return None

    policy, states = keras.config.dtype_policy(), (random.getstate(), np.random.get_state())  # must not change
    try:
        return call_bounded(measure, seconds=seconds, memory=memory)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def check_size(
    component: Component,
    input_shape: tuple[int, int, int],
    num_classes: int,
    artifact: Path | None = None,
    *,
    is_recorded: bool = False,
) -> None:
    """Raise `PluginError` if a model would use too much memory, before any of its weights is created.

    Weights may use a quarter of the memory, because training and loading make copies. If they are loaded from an
    artifact, they may also not be larger than that file.

    Args:
        component: The model.
        input_shape: Height, width and channels of an image.
        num_classes: Number of classes.
        artifact: The weights file, if there is one.
        is_recorded: Whether its settings come from a file, whose author may be a stranger: then the time and memory
            that the builder itself takes are limited too. Without, one that takes longer is a `ZooWarning`.

    Raises:
        PluginError: The model, or its builder, would use too much.
        ZooError: ``ZOO_MODEL_SECONDS`` is not a valid number of seconds.
    """
    quarter, most = usable_memory() // 4, _most_seconds()
    bounds = {"seconds": most, "memory": quarter} if is_recorded else {}
    received = f"Received: input_shape={input_shape}, settings={dict(component.settings)!r:.200}"
    started, computed = time.monotonic(), time.process_time()
    try:
        needed = bytes_of_model(component, input_shape, num_classes, **bounds)  # type: ignore[arg-type]  # by their names
    except (LimitExceededError, RecursionError) as error:
        took = f"takes {error}" if isinstance(error, LimitExceededError) else "has too many layers in a row"
        longer = f", or set {_VARIABLE} to more if you trust them" if isinstance(error, TimeExceededError) else ""
        raise PluginError(
            f"The {component.title} {took}, so it is not built. Check its settings{longer}. {received}",
            plugin=component.plugin,
        ) from error
    seconds = min(time.monotonic() - started, time.process_time() - computed)
    if seconds > most and not is_recorded:
        warnings.warn(
            f"The {component.title} takes {seconds:.3g} s of computing to lay out, more than zoo gives the model of a "
            f"run. Set {_VARIABLE} to more than {seconds:.3g} to test, load or resume the run. "
            f"Received: {_VARIABLE}={most:g}",
            ZooWarning,
            stacklevel=2,
        )
    limits = [(quarter, "a quarter of the usable memory")]
    if artifact is not None:
        limits.append((files.size_of(artifact), str(artifact)))
    limit, whose = min(limits)
    if needed is not None and needed > limit:
        bytes_, has = f"{min(needed, 1 << 100):.3g}", f"{limit:.3g}"
        raise PluginError(
            f"The {component.title} would need {bytes_} bytes for its weights, but {whose} is only {has} bytes. Check "
            f"its settings. {received}",
            plugin=component.plugin,
        )


def _most_seconds() -> float:
    try:
        return seconds_of(os.environ, _VARIABLE, _MOST_SECONDS)
    except ValueError as error:
        raise ZooError(str(error)) from None
