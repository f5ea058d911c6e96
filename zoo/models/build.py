"""Build models: in the trainer's precision, with validated outputs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from zoo.errors import PluginError
from zoo.runs import array_io
from zoo.utils.hardware import computes_bfloat16
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import keras

    from zoo.interfaces import Trainer
    from zoo.recipes.components import Component

AUTO = "auto"
"""The dtype policy of a trainer that lets zoo choose by the machine."""


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
