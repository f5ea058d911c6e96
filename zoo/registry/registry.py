"""A registry: a catalog of each kind, and the plugins that filled them. Registries are independent of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.registry.catalog import Catalog
from zoo.registry.entries import Entry, Recipe
from zoo.registry.kinds import TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.registry.plugin import Plugin


class Registry:
    """A catalog of registered objects of each kind, and the plugins that they come from.

    `load_registry` returns one that is filled by all installed plugins.

    Attributes:
        datasets: Catalog of dataset entries.
        models: Catalog of model builder entries.
        trainers: Catalog of trainer entries.
        optimizers: Catalog of optimizer entries.
        schedules: Catalog of learning rate schedule entries.
        losses: Catalog of loss entries.
        augmentations: Catalog of augmentation entries.
        metrics: Catalog of metric entries.
        callbacks: Catalog of callback entries.
        exporters: Catalog of exporter entries.
        recipes: Catalog of recipes.
        commands: Catalog of command entries.
        plugins: All discovered plugins by name, including those that were left out.

    Example:
        >>> registry = zoo.load_registry()
        >>> registry.models.add(Entry(name="tiny-net", target=build_tiny_net, summary="One hidden layer."))
        >>> zoo.run("fashion-cnn", model="tiny-net", registry=registry)
    """

    def __init__(self) -> None:
        """Create an empty registry."""
        self.datasets = Catalog("dataset", Entry)
        self.models = Catalog("model", Entry)
        self.trainers = Catalog("trainer", Entry)
        self.optimizers = Catalog("optimizer", Entry)
        self.schedules = Catalog("schedule", Entry)
        self.losses = Catalog("loss", Entry)
        self.augmentations = Catalog("augmentation", Entry)
        self.metrics = Catalog("metric", Entry)
        self.callbacks = Catalog("callback", Entry)
        self.exporters = Catalog("exporter", Entry)
        self.recipes = Catalog("recipe", Recipe)
        self.commands = Catalog("command", Entry)
        self.plugins: dict[str, Plugin] = {}

    @property
    def catalogs(self) -> Mapping[str, Catalog[Any]]:
        """The catalogs by kind: ``"dataset"``, ``"model"``, ``"trainer"``, and so on."""
        return {kind.name: getattr(self, kind.plural) for kind in TABLE}
