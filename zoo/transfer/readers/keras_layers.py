"""What the numbered variables of Keras 3's layers are, and the order of the layers in a model's description."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from zoo.utils.text import snake_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DEEPEST = 16  # models in models
_STATISTICS = ("moving_mean", "moving_variance")
# dimensions of the kernels of layers that have a bias besides
_KERNELS = {
    "dense": 2,
    "conv1d": 3,
    "conv2d": 4,
    "conv3d": 5,
    "conv1d_transpose": 3,
    "conv2d_transpose": 4,
    "conv3d_transpose": 5,
    "depthwise_conv1d": 3,
    "depthwise_conv2d": 4,
    "separable_conv1d": 3,
    "separable_conv2d": 4,
}


def roles_of(name: str, shapes: Sequence[tuple[int, ...]], config: dict[str, Any] | None = None) -> list[str | None]:
    """Return the roles of a layer's variables, or None where they are not certain.

    Args:
        name: The layer's name in the file: its class, in snake case, and a number.
        shapes: The shapes of its variables, in order.
        config: The layer's configuration, if it is known.
    """
    kind = re.sub(r"_\d+$", "", name)
    roles: list[str | None] = [None] * len(shapes)
    if kind in _KERNELS:
        kernels = ["depthwise_kernel", "pointwise_kernel"] if kind.startswith("separable") else ["kernel"]
        named = [*kernels, "bias"][: len(shapes)]
        dimensions = [*[_KERNELS[kind]] * len(kernels), 1][: len(shapes)]
        return list(named) if [len(shape) for shape in shapes] == dimensions else roles
    if any(len(shape) != 1 for shape in shapes) or len(set(shapes)) > 1:
        return roles
    scale_and_center = None if config is None else (config.get("scale", True), config.get("center", True))
    if kind == "batch_normalization":
        return _with_affine(len(shapes), _STATISTICS, scale_and_center)
    if kind == "layer_normalization":
        return _with_affine(len(shapes), (), scale_and_center)
    return roles


def _with_affine(count: int, last: tuple[str, ...], scale_and_center: tuple[bool, bool] | None) -> list[str | None]:
    """Return the roles of a normalization's variables: gamma and beta, if it has them, then others."""
    affine = count - len(last)
    if scale_and_center is not None:
        first = [role for role, has in zip(("gamma", "beta"), scale_and_center, strict=True) if has]
        if len(first) == affine:
            return [*first, *last]
    if affine == 2:
        return ["gamma", "beta", *last]
    return [*[None] * affine, *last] if affine in (0, 1) else [None] * count


def layers_of(description: object) -> dict[str, tuple[int, dict[str, Any]]]:
    """Return the layers of a sequential or functional model, by their names in the file: position and configuration."""
    found = (each for each in _layers(description, "", 0) if each is not None)
    return {path: (position, config) for position, (path, config) in enumerate(found)}


def _layers(model: object, path: str, depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    config = model.get("config") if isinstance(model, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(layers, list) or depth > _DEEPEST:
        return
    counts: dict[str, int] = {}
    for layer in layers:
        if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
            continue
        if (kind := layer["class_name"]) == "InputLayer" and _class_name(model) == "Sequential":
            continue  # in the description of a sequential model, but not among its layers
        name = snake_case(kind)
        number = counts.get(name, 0)
        counts[name] = number + 1
        within = f"{path}layers/{name}" + (f"_{number}" if number else "")
        own = layer.get("config")
        yield within, own if isinstance(own, dict) else {}
        yield from _layers(layer, f"{within}/", depth + 1)


def _class_name(model: object) -> object:
    return model.get("class_name") if isinstance(model, dict) else None
