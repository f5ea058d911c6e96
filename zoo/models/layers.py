"""The layers of a model by name: how settings and weights files refer to them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zoo.utils.text import snake_case

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keras


def named_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Return the layers that have weights by name, in the model's order; those of an inner model as ``"inner/conv"``.

    Keras numbers automatic names by the layers that a process has created. Here they are numbered within the model:
    ``conv2d``, ``conv2d_1``.
    """
    found: dict[str, keras.layers.Layer] = {}
    counts: dict[str, int] = {}
    for path, layer in _leaves(model, ""):
        folder, slash, name = path.rpartition("/")
        stem = folder + slash + (automatic_stem(layer) or name)
        number = counts[stem] = counts.get(stem, -1) + 1
        found[f"{stem}_{number}" if number else stem] = layer
    return found


def saved_names(model: keras.Model) -> dict[str, str]:
    """Return the names of `named_layers` by those in files of `Model.save_weights`: ``"layers/conv2d_1"``.

    There, Keras numbers the layers of each class within the model, whatever they are called.
    """
    saved = (path for path, layer in _saved(model, "layers/") if layer.weights)
    return dict(zip(saved, named_layers(model), strict=True))


def automatic_stem(layer: keras.layers.Layer) -> str | None:
    """Return Keras's automatic name for layers of a class, ``"conv2d"``, or None if a layer has a name of its own."""
    stem = snake_case(type(layer).__name__)
    return stem if re.fullmatch(re.escape(stem) + r"(_\d+)?", layer.name) else None


def head_of(model: keras.Model) -> str:
    """Return the name of the layer with the weights that produce the classes: the last one that has any."""
    return list(named_layers(model))[-1]


def _leaves(model: keras.Model, prefix: str) -> Iterator[tuple[str, keras.layers.Layer]]:
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer, f"{prefix}{automatic_stem(layer) or layer.name}/")
        elif layer.weights:
            yield f"{prefix}{layer.name}", layer


def _saved(model: keras.Model, prefix: str) -> Iterator[tuple[str, keras.layers.Layer]]:
    import keras

    counts: dict[str, int] = {}
    for layer in model.layers:
        name = snake_case(type(layer).__name__)
        number = counts[name] = counts.get(name, -1) + 1
        path = f"{prefix}{name}_{number}" if number else f"{prefix}{name}"
        if isinstance(layer, keras.Model):
            yield from _saved(layer, f"{path}/layers/")
        else:
            yield path, layer
