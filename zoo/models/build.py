"""Build models: within the available memory, in the trainer's precision, with validated outputs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from zoo.errors import PluginError
from zoo.models import weights
from zoo.runs import array_io
from zoo.utils import files
from zoo.utils.hardware import computes_bfloat16, usable_memory
from zoo.utils.plugin_errors import plugin_errors
from zoo.utils.signals import HeldSignals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import keras

    from zoo.interfaces import Trainer
    from zoo.recipes.components import Component

AUTO = "auto"
"""The dtype policy of a trainer that lets zoo choose by the machine."""


def bytes_of_model(component: Component, input_shape: tuple[int, int, int], num_classes: int) -> int | None:
    """Return the size of a model's weights in bytes without creating them, or None if that fails.

    This calls the builder one extra time, in a separate thread. The thread's Keras state ends with it, so the names and
    random numbers of models built later do not change.
    """
    import random
    import threading

    import keras
    import numpy as np

    def measure() -> None:
        keras.config.set_dtype_policy(policy)
        with contextlib.suppress(Exception, SystemExit), keras.StatelessScope(initialize_variables=False):
            # errors are reported when the model is built
            sizes.append(array_io.bytes_needed(weights.layout_of(component.make(input_shape, num_classes))))

    sizes: list[int] = []
    policy, states = keras.config.dtype_policy(), (random.getstate(), np.random.get_state())  # must not change
    thread = threading.Thread(target=measure, daemon=True)
    with HeldSignals():  # the process cannot end cleanly in the middle of it
        thread.start()
        thread.join()
    random.setstate(states[0])
    np.random.set_state(states[1])
    return sizes[0] if sizes else None


def check_size(
    component: Component, input_shape: tuple[int, int, int], num_classes: int, artifact: Path | None = None
) -> None:
    """Raise `PluginError` if a model would use too much memory, before any of its weights is created.

    Weights may use a quarter of the memory, because training and loading make copies. If they are loaded from an
    artifact, they may also not be larger than that file.
    """
    needed = bytes_of_model(component, input_shape, num_classes)
    limits = [(usable_memory() // 4, "a quarter of the usable memory")]
    if artifact is not None:
        limits.append((files.size_of(artifact), str(artifact)))
    limit, whose = min(limits)
    if needed is not None and needed > limit:
        bytes_, has = f"{min(needed, 1 << 100):.3g}", f"{limit:.3g}"
        raise PluginError(
            f"The {component.title} would need {bytes_} bytes for its weights, but {whose} is only {has} bytes. Check "
            f"its settings. Received: input_shape={input_shape}, settings={dict(component.settings)!r:.200}",
            plugin=component.plugin,
        )


@contextlib.contextmanager
def dtype_policy_of(
    trainer: Trainer, recorded: str | None = None, *, in_float32: bool = False
) -> Iterator[keras.DTypePolicy]:
    """Set Keras's dtype policy to the one that a trainer requests, if any, and yield it.

    Args:
        trainer: The trainer.
        recorded: The policy to use for ``auto``; None selects ``mixed_bfloat16`` if that is fast, else ``float32``.
        in_float32: Whether to set ``float32``, whatever the trainer requests.
    """
    import keras

    before = keras.config.dtype_policy()
    policy = "float32" if in_float32 else trainer.dtype_policy or before
    if policy == AUTO:
        policy = recorded or ("mixed_bfloat16" if computes_bfloat16() else "float32")
    keras.config.set_dtype_policy(policy)
    try:
        yield keras.config.dtype_policy()
    finally:
        keras.config.set_dtype_policy(before)


def build_with_policy(policy: keras.DTypePolicy, make: Callable[[], keras.Model]) -> keras.Model:
    """Call a builder under a dtype policy and return its model. Works in any process."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return make()
    finally:
        keras.config.set_dtype_policy(before)


def build_model(component: Component, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Build a model and check its input, output and weight types.

    Raises:
        PluginError: The model cannot be built, does not map images to ``(batch, num_classes)``, or has a weight of a
            type that artifacts cannot contain.
    """
    import keras

    with plugin_errors(component.title, f"build for images {input_shape} and {num_classes} classes"):
        model = component.make(input_shape, num_classes)
    # missing if the model does not know its input yet
    shapes = [getattr(model, name, None) for name in ("input_shape", "output_shape")]
    is_sound = _accepts_shape(shapes[0], (None, *input_shape)) and shapes[1] == (None, num_classes)
    if not isinstance(model, keras.Model) or not is_sound:
        received = f"{shapes[0]} to {shapes[1]}" if isinstance(model, keras.Model) else f"{model!r:.200}"
        raise PluginError(
            f"The {component.title} must build a keras.Model that starts with keras.Input(input_shape) and maps "
            f"{(None, *input_shape)} to {(None, num_classes)}. Received: {received}",
            plugin=component.plugin,
        )
    for weight in model.weights:
        if (dtype := keras.backend.standardize_dtype(weight.dtype)) not in array_io.TYPES:
            raise PluginError(
                f"The {component.title} has a weight of a type that cannot be saved. Keep weights in float32; to "
                f"compute in bfloat16, use the dtype policy 'mixed_bfloat16'. Received: dtype={dtype!r}",
                plugin=component.plugin,
            )
    return model


def _accepts_shape(shape: object, wanted: tuple[int | None, ...]) -> bool:
    """Return whether a model's input shape equals the wanted shape, or is None where it differs."""
    return (
        isinstance(shape, tuple)
        and len(shape) == len(wanted)
        and all(size in (None, wanted_size) for size, wanted_size in zip(shape, wanted, strict=True))
    )
