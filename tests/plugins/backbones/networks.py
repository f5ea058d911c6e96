"""The networks of plugin backbones, built once."""

from __future__ import annotations

import functools

import keras

from tests.support.small_recipe import make_registry
from zoo.interfaces import ModelBuilder
from zoo.registry import catalog

REGISTRY = make_registry()
NAMES = [found.name for found in REGISTRY.models if found.plugin == "backbones"]
COLOR, GRAY = (40, 48, 3), (40, 48, 1)


def builder(name: str) -> ModelBuilder:
    """Return what builds a network."""
    built: ModelBuilder = catalog.resolve(REGISTRY.models.get(f"backbones/{name}"))
    return built


@functools.cache
def network(name: str) -> keras.Model:
    """Return a network for a thousand classes, built once."""
    keras.utils.set_random_seed(0)
    return builder(name)(COLOR, 1000)
