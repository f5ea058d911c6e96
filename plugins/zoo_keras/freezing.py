"""Frozen layers, and learning rates that fall from layer to layer towards the input."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from zoo import SettingError
from zoo.models import head_of, named_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

ALL_BUT_HEAD = "all-but-head"
"""The value of ``trainer.freeze`` that leaves only the last layer with weights trainable."""

_LEVELS = 12  # as many as the blocks of the transformers for which factors such as 0.75 were published


def freeze(model: keras.Model, patterns: Sequence[str]) -> None:
    """Freeze the layers whose names match a pattern; no other layer changes. They compute as they do after training.

    Args:
        model: The model.
        patterns: Shell-style patterns of layer names, as `zoo.models.named_layers` returns them, or `ALL_BUT_HEAD`.

    Raises:
        SettingError: A pattern matches no layer, or no trainable weight is left.
    """
    if not patterns:
        return
    layers = named_layers(model)
    head = head_of(model)
    for pattern in patterns:
        matching = [name for name in layers if name != head] if pattern == ALL_BUT_HEAD else _matching(layers, pattern)
        if not matching:
            raise SettingError(
                f"Setting 'trainer.freeze' matches no layer of the model. Its layers with weights are "
                f"{', '.join(layers)}. Received: trainer.freeze={pattern!r}",
                name="trainer.freeze",
                value=tuple(patterns),
            )
        for name in matching:
            layers[name].trainable = False
    if not model.trainable_weights:
        raise SettingError(
            "Setting 'trainer.freeze' freezes every layer. Leave at least one trainable, such as the last: "
            f"`trainer.freeze={ALL_BUT_HEAD}`. Received: trainer.freeze={','.join(patterns)!r}",
            name="trainer.freeze",
            value=tuple(patterns),
        )


def _matching(names: dict[str, Any], pattern: str) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


def scale_rates(optimizer: keras.optimizers.Optimizer, model: keras.Model, decay: float) -> None:
    """Let an optimizer's learning rate fall towards the input of a model (after Bao et al., arXiv:2106.08254).

    The layers with kernels are divided into up to 12 levels of equal size. The head has the whole rate, the level
    below it ``decay`` times that, and so on. Weight decay is not scaled.
    """
    scales = _scales(model, decay)
    update = optimizer.update_step

    def scaled_update(gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        update(gradient, variable, learning_rate * scales[id(variable)])

    optimizer.update_step = scaled_update


def _scales(model: keras.Model, decay: float) -> dict[int, float]:
    """Return the factor for each weight, by the identity of its variable: Keras's and, on TensorFlow, TensorFlow's."""
    groups: list[list[keras.Variable]] = [[]]  # each begins with a layer that has a kernel
    for layer in named_layers(model).values():
        if any(len(weight.shape) > 1 for weight in layer.weights) and groups[-1]:
            groups.append([])
        groups[-1] += layer.weights
    last = len(groups) - 1  # that of the head
    levels = min(_LEVELS, last)
    return {
        id(variable): decay ** (levels - position * levels // last if last else 0)
        for position, group in enumerate(groups)
        for weight in group
        for variable in (weight, weight.value)
        if hasattr(variable, "assign")
    }
