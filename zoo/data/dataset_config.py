"""A dataset by its name or by that of a recipe, with its settings, to be loaded without training anything."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from zoo.data.loading import check_data_dir, load_split
from zoo.errors import SettingError, UnknownNameError
from zoo.recipes import resolution
from zoo.recipes.components import component_settings, configure
from zoo.recipes.settings import SettingSpec, complete
from zoo.utils.text import close_names, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zoo.interfaces import Split
    from zoo.recipes.components import Component
    from zoo.registry.registry import Registry

_VALIDATION = SettingSpec(name="validation", type=Annotated[int, Meta(ge=0)], default=0)


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """A dataset with all its settings, ready to be loaded.

    `zoo.data.prepare_dataset` returns one.

    Args:
        name: Qualified name: ``"fashion/fashion-mnist"``.
        settings: Every setting of the dataset, by name: ``{"size": (64, 64)}``.
        validation: Number of training images that the recipe holds out if the dataset has no validation images; 0
            without a recipe.
        data_dir: Folder or file that the dataset reads; None for its own data.
    """

    name: str
    settings: Mapping[str, Any]
    validation: int
    data_dir: str | Path | None
    _component: Component = field(repr=False)

    def check(self) -> None:
        """Check what can be checked about the data before it is read.

        Raises:
            DataError: The folder or file does not exist or lacks what the dataset reads, or the dataset needs one.
            PluginError: The dataset cannot be created, or fails.
        """
        check_data_dir(self._component, self.data_dir)

    def load(self) -> Split:
        """Load the data. No validation examples are held out: see `zoo.data.cut_validation`.

        Raises:
            DataError: The data is missing or malformed.
            PluginError: The dataset fails in another way.
        """
        return load_split(self._component, self.data_dir)


def prepare_dataset(
    name: str,
    *,
    dataset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    registry: Registry | None = None,
) -> DatasetConfig:
    """Look up a dataset, by its name or by that of a recipe, and complete its settings. Nothing is read yet.

    Args:
        name: Name of a dataset or of a recipe; a dataset takes precedence.
        dataset: Name of the dataset to use instead of the recipe's.
        settings: Settings of the dataset, and ``validation``, as for `zoo.run`: ``{"dataset.size": (64, 64)}``.
        data_dir: As for `zoo.run`.
        registry: As for `zoo.run`.

    Raises:
        UnknownNameError: No dataset or recipe has that name.
        AmbiguousNameError: More than one plugin registers it.
        SettingError: A setting does not exist or its value is not allowed.
        PluginError: A target cannot be imported.
    """
    if registry is None:
        from zoo.registry.plugins import load_registry

        registry = load_registry()
    settings = dict(settings or {})
    if dataset is not None or not _is_dataset(registry, name):
        return _of_recipe(registry, name, dataset, settings, data_dir)
    registered = registry.datasets.get(name)
    specs = component_settings(registered) | {_VALIDATION.name: _VALIDATION}
    values = complete(specs, settings, texts=settings)
    return _config(configure(registered, values), data_dir, values[_VALIDATION.name])


def _of_recipe(
    registry: Registry,
    name: str,
    dataset: str | None,
    settings: Mapping[str, Any],
    data_dir: str | Path | None,
) -> DatasetConfig:
    for setting, value in settings.items():
        if not setting.startswith("dataset.") and setting != _VALIDATION.name:
            raise SettingError(
                "Only the settings of the dataset, and 'validation', change the data. Remove this one. "
                f"Received: {setting}={value!r}",
                name=setting,
                value=value,
            )
    recipe = resolution.resolve(registry, name, {"dataset": dataset, "settings": settings})
    return _config(recipe.dataset, data_dir, recipe.validation)


def _config(component: Component, data_dir: str | Path | None, validation: int) -> DatasetConfig:
    return DatasetConfig(
        name=component.qualified_name,
        settings=component.settings,
        validation=validation,
        data_dir=data_dir,
        _component=component,
    )


def _is_dataset(registry: Registry, name: str) -> bool:
    """Return whether a name is a dataset's rather than a recipe's.

    Raises:
        UnknownNameError: It is neither.
    """
    try:
        registry.datasets.get(name)
    except UnknownNameError as error:
        try:
            registry.recipes.get(name)
        except UnknownNameError as other:
            known = [*error.suggestions, *other.suggestions]
            close = close_names(name, list(dict.fromkeys(known)))
            hint = did_you_mean(close) or " `zoo list` shows their names."
            if os.path.lexists(name):
                hint = f" To read a folder of images, pass `image-folder --data-dir {name}`."
            raise UnknownNameError(
                f"No dataset, recipe or run is named {name!r}.{hint} Received: name={name!r}",
                kind="dataset",
                name=name,
                suggestions=close,
            ) from error
        return False
    return True
