"""A registry: six catalogs and the plugins that filled them. Registries are independent of each other."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginWarning
from zoo.registry.catalog import Catalog
from zoo.registry.entries import Entry, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras

    from zoo.interfaces import RunContext
    from zoo.registry.plugin import Plugin


class Registry:
    """Six catalogs of registered objects, and the plugins that they come from.

    `load_registry` returns one that is filled by all installed plugins.

    Attributes:
        datasets: Catalog of dataset entries.
        models: Catalog of model builder entries.
        trainers: Catalog of trainer entries.
        recipes: Catalog of recipes.
        commands: Catalog of command entries.
        trackers: Catalog of tracker entries.
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
        self.recipes = Catalog("recipe", Recipe)
        self.commands = Catalog("command", Entry)
        self.trackers = Catalog("tracker", Entry)
        self.plugins: dict[str, Plugin] = {}

    @property
    def catalogs(self) -> Mapping[str, Catalog[Any]]:
        """The catalogs by kind: ``"dataset"``, ``"model"``, ``"trainer"``, and so on."""
        return {
            catalog.kind: catalog
            for catalog in (self.datasets, self.models, self.trainers, self.recipes, self.commands, self.trackers)
        }

    def callbacks(self, run: RunContext) -> dict[str, list[keras.callbacks.Callback]]:
        """Return the callbacks for a run, by plugin; a plugin whose hook fails is skipped with a warning."""
        callbacks: dict[str, list[keras.callbacks.Callback]] = {}
        for plugin in self.plugins.values():
            if plugin.error is not None:
                continue
            try:
                several = plugin.hooks.hook.register_callbacks(run=run)
                if found := [_callback(callback) for callbacks_of_hook in several for callback in callbacks_of_hook]:
                    callbacks[plugin.name] = found
            except (Exception, SystemExit) as error:
                warnings.warn(
                    f"Plugin {plugin.name!r} adds no callbacks to this run, because its hook failed: "
                    f"{type(error).__name__}: {error}",
                    PluginWarning,
                    stacklevel=2,
                )
        return callbacks


def _callback(value: object) -> keras.callbacks.Callback:
    import keras

    if not isinstance(value, keras.callbacks.Callback):
        raise TypeError(f"register_callbacks must return Keras callbacks. Received: {value!r:.100}")
    return value
