"""A plugin-based model zoo: one command trains, saves, loads and tests any registered model on any data set.

The names below are imported when they are first used, so that ``import zoo`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.catalog import Catalog
    from zoo.errors import (
        AmbiguousNameError,
        ArtifactError,
        CycleError,
        DataError,
        DivergedError,
        InvalidEntryError,
        PluginError,
        PluginWarning,
        RenamedWarning,
        RunFolderError,
        SettingError,
        UnknownNameError,
        ZooError,
        ZooWarning,
    )
    from zoo.examples import ArrayExamples, Subset, scale_pixels
    from zoo.hookspecs import hookimpl
    from zoo.interfaces import (
        Dataset,
        Entry,
        Examples,
        ModelBuilder,
        Progress,
        Recipe,
        RunContext,
        RunSettings,
        Split,
        Trainer,
        Training,
    )
    from zoo.loading import LoadedModel
    from zoo.plugins import load_registry
    from zoo.records import EpochRecord, Metrics, RunRecord
    from zoo.registry import Registry
    from zoo.runner import load, load_and_test, run, train_and_save
    from zoo.runs import Run

_HOMES = {
    "zoo.catalog": ("Catalog",),
    "zoo.errors": (
        "AmbiguousNameError",
        "ArtifactError",
        "CycleError",
        "DataError",
        "DivergedError",
        "InvalidEntryError",
        "PluginError",
        "PluginWarning",
        "RenamedWarning",
        "RunFolderError",
        "SettingError",
        "UnknownNameError",
        "ZooError",
        "ZooWarning",
    ),
    "zoo.examples": ("ArrayExamples", "Subset", "scale_pixels"),
    "zoo.hookspecs": ("hookimpl",),
    "zoo.interfaces": (
        "Dataset",
        "Entry",
        "Examples",
        "ModelBuilder",
        "Progress",
        "Recipe",
        "RunContext",
        "RunSettings",
        "Split",
        "Trainer",
        "Training",
    ),
    "zoo.loading": ("LoadedModel",),
    "zoo.plugins": ("load_registry",),
    "zoo.records": ("EpochRecord", "Metrics", "RunRecord"),
    "zoo.registry": ("Registry",),
    "zoo.runner": ("load", "load_and_test", "run", "train_and_save"),
    "zoo.runs": ("Run",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AmbiguousNameError",
    "ArrayExamples",
    "ArtifactError",
    "Catalog",
    "CycleError",
    "DataError",
    "Dataset",
    "DivergedError",
    "Entry",
    "EpochRecord",
    "Examples",
    "InvalidEntryError",
    "LoadedModel",
    "Metrics",
    "ModelBuilder",
    "PluginError",
    "PluginWarning",
    "Progress",
    "Recipe",
    "Registry",
    "RenamedWarning",
    "Run",
    "RunContext",
    "RunFolderError",
    "RunRecord",
    "RunSettings",
    "SettingError",
    "Split",
    "Subset",
    "Trainer",
    "Training",
    "UnknownNameError",
    "ZooError",
    "ZooWarning",
    "hookimpl",
    "load",
    "load_and_test",
    "load_registry",
    "run",
    "scale_pixels",
    "train_and_save",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        return import_module("importlib.metadata").version("keras-zoo")
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
