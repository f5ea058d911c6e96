"""Match the arrays of a weights file with the weights of a model: by names that are known, else by order and shape."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.errors import ArtifactError
from zoo.models.conversion import convert, is_same_role, targets_of
from zoo.models.graph import parallel_layers
from zoo.models.layers import automatic_stem, head_of, named_layers, saved_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import keras
    from numpy.typing import NDArray

    from zoo.models.conversion import Target
    from zoo.transfer.weights_file import WeightsArray, WeightsFile

Pairs = dict[int, int]
"""Positions of arrays in a file by the positions of the weights that take them."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """An array that a weight takes its value from.

    Args:
        source: Its name in the file.
        target: The weight's layer and name: ``"conv2d/kernel"``.
        shape: The weight's shape.
        how: What was done to the array; empty if it is taken as it is.
        variable: The weight.
        value: The array as its value.
    """

    source: str
    target: str
    shape: tuple[int, ...]
    how: str
    variable: keras.Variable = field(repr=False)
    value: NDArray[Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Which arrays of a file a model takes.

    Args:
        taken: Arrays and the weights that take them, in the model's order.
        kept: Weights of the model that no array fits; they keep their values.
        unused: Arrays that no weight takes.
        fits: Whether nothing is left over but a head, which may have another number of classes.
    """

    taken: tuple[Taken, ...]
    kept: tuple[str, ...]
    unused: tuple[str, ...]
    fits: bool


def match_weights(
    file: WeightsFile, model: keras.Model, layer_name: Callable[[str], str | None] | None = None
) -> Matching:
    """Match the arrays of a file with the weights of a model.

    Names are those of the model's layers that are not automatic, or what ``layer_name`` returns. If they do not cover
    the model, arrays and weights are matched by their order, if the file has one, as far as their shapes fit.

    Args:
        file: The weights file.
        model: The model.
        layer_name: Returns the name of the model's layer for a layer in the file, or None if it knows none.

    Raises:
        ArtifactError: Names and order both cover the model, and differ.
    """
    targets, head = targets_of(model), head_of(model)
    _check_features(file, targets)
    by_name = _by_name(file, model, targets, layer_name)
    by_order = _by_order(file, targets) if file.is_ordered else {}
    is_named, is_ordered = (_covers(pairs, file, targets, head) for pairs in (by_name, by_order))
    # layers of PyTorch come in the order in which they were defined, which does not tell parallel ones apart
    parallel = parallel_layers(model) if file.layout == "pytorch" and by_order else None
    if is_named and is_ordered and by_name != by_order and not parallel:
        place = min(place for place in {*by_name, *by_order} if by_name.get(place) != by_order.get(place))
        one, other = (file.arrays[way[place]].name if place in way else "none" for way in (by_name, by_order))
        raise ArtifactError(
            f"The arrays of {file.path} match {targets[place].name!r} in two ways: by name it is {one!r}, by order "
            f"{other!r}. Rename the arrays, or register the model with `weight_names`.",
            path=file.path,
        )
    if not is_named and parallel and len(by_order) > len(by_name):
        raise ArtifactError(
            f"The weights of {file.path} cannot be taken by their order: {parallel[0]!r} and {parallel[1]!r} have the "
            "same shape and are parallel, so either may come first. Register the model with `weight_names`. "
            f"Received: layers={list(parallel)!r}",
            path=file.path,
        )
    pairs = by_name if is_named or (len(by_name) >= len(by_order) and not is_ordered) else by_order
    used = set(pairs.values())
    return Matching(
        taken=tuple(_taken(pairs, file, targets)),
        kept=tuple(target.name for place, target in enumerate(targets) if place not in pairs),
        unused=tuple(array.name for position, array in enumerate(file.arrays) if position not in used),
        fits=is_named or is_ordered,
    )


def _check_features(file: WeightsFile, targets: Sequence[Target]) -> None:
    """Raise `ArtifactError` if the order of flattened features cannot be known."""
    for target in targets:
        if file.layout == "pytorch" and target.flattened == "unknown":
            raise ArtifactError(
                f"The weights of {file.path} cannot be taken: those of {target.layer!r} may depend on the order in "
                "which features are flattened, which this model does not tell. Put Flatten or a pooling layer right "
                f"before that layer, in the same model. Received: layer={target.layer!r}",
                path=file.path,
            )
        if file.format == "ONNX" and target.flattened is not None:  # it may have either order
            raise ArtifactError(
                f"{file.path} cannot be taken by a model that flattens features: an ONNX file does not say whether "
                "channels come first or last. Use the file that it was exported from. "
                f"Received: layer={target.layer!r}",
                path=file.path,
            )


def _by_name(
    file: WeightsFile, model: keras.Model, targets: Sequence[Target], layer_name: Callable[[str], str | None] | None
) -> Pairs:
    """Return pairs of the same layer and role that fit."""
    roles: dict[str, dict[str, int]] = {}  # positions of weights by layer and role
    for place, target in enumerate(targets):
        roles.setdefault(target.layer, {})[target.role] = place
    inner = _inner_names(roles)
    named = [name for name, layer in named_layers(model).items() if not automatic_stem(layer)]
    own = {_plain(name): name for name in named} | {_plain(name): inner[name] for name in inner if inner[name] in named}
    own |= {_plain(saved): name for saved, name in saved_names(model).items()}
    seen: dict[str, int] = {}  # number of arrays of each layer so far
    pairs: Pairs = {}
    for position, array in enumerate(file.arrays):
        layer = (layer_name(array.layer) if layer_name else None) or own.get(_plain(array.layer)) or ""
        layer = inner.get(layer, layer)
        if layer not in roles:
            continue
        seen[layer] = seen.get(layer, -1) + 1
        for place in _places(roles[layer], array.role, seen[layer]):
            if place not in pairs and convert(array, file.layout, targets[place]) is not None:
                pairs[place] = position
                break
    return dict(sorted(pairs.items()))


def _inner_names(layers: Iterable[str]) -> dict[str, str]:
    """Return the full names of layers of inner models by their own names, where these are unique."""
    full: dict[str, list[str]] = {}
    for layer in layers:
        full.setdefault(layer.rpartition("/")[2], []).append(layer)
    return {name: layers_[0] for name, layers_ in full.items() if len(layers_) == 1}


def _places(roles: dict[str, int], role: str | None, number: int) -> list[int]:
    """Return the positions of the weights of a layer that an array may belong to, by role or by its number."""
    if role is None:
        return list(roles.values())[number : number + 1]
    if len(roles) == 1:  # a parameter of its own, such as a scale, has many names
        return list(roles.values())
    return [place for name, place in roles.items() if is_same_role(role, name)]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _by_order(file: WeightsFile, targets: Sequence[Target]) -> Pairs:
    """Return pairs of the same position, up to the first that do not fit."""
    pairs: Pairs = {}
    for place, target in enumerate(targets[: len(file.arrays)]):
        array = file.arrays[place]
        if array.role is not None and not is_same_role(array.role, target.role):
            break
        if convert(array, file.layout, target) is None:
            break
        pairs[place] = place
    return pairs


def _covers(pairs: Pairs, file: WeightsFile, targets: Sequence[Target], head: str) -> bool:
    """Return whether pairs leave over nothing, or only the model's head and what can be that of the file."""
    if not pairs or any(target.layer != head for place, target in enumerate(targets) if place not in pairs):
        return False
    used = set(pairs.values())
    unused = [position for position in range(len(file.arrays)) if position not in used]
    if not unused:
        return True
    is_new = any(place not in pairs for place, target in enumerate(targets) if target.layer == head)
    is_last = not file.is_ordered or unused[0] > max(used)
    return is_new and is_last and _is_head([file.arrays[position] for position in unused])


def _is_head(arrays: Sequence[WeightsArray]) -> bool:
    """Return whether arrays can be a dense layer: a kernel, and perhaps a bias with as many values."""
    kernels = [array for array in arrays if array.array.ndim > 1]
    biases = [array for array in arrays if array.array.ndim == 1]
    return (
        len(kernels) == 1
        and len(kernels) + len(biases) == len(arrays) <= 2
        and all(bias.array.size in kernels[0].array.shape for bias in biases)
    )


def _taken(pairs: Pairs, file: WeightsFile, targets: Sequence[Target]) -> list[Taken]:
    found = []
    for place, position in pairs.items():
        array, target = file.arrays[position], targets[place]
        if (converted := convert(array, file.layout, target)) is not None:
            value, how = converted
            found.append(
                Taken(
                    source=array.name,
                    target=target.name,
                    shape=target.shape,
                    how=how,
                    variable=target.variable,
                    value=value,
                )
            )
    return found
