"""A plugin-based model zoo: one command trains, saves, loads and tests any registered model on any data set.

The names below are imported when they are first used, so that ``import zoo`` costs nothing.
"""

from __future__ import annotations

from typing import Any

_HOMES = {
    "zoo.data.examples": (
        "ArrayExamples",
        "Subset",
        "check_labels",
        "scale_pixels",
    ),
    "zoo.errors": (
        "AmbiguousNameError",
        "ArtifactError",
        "CheckFailedError",
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
    "zoo.interfaces": (
        "Dataset",
        "Examples",
        "ImageInput",
        "ModelBuilder",
        "Progress",
        "RunContext",
        "RunSettings",
        "Split",
        "SteppedTraining",
        "Trainer",
        "Training",
    ),
    "zoo.models.multiply_adds": ("count_multiply_adds",),
    "zoo.pipeline.api": (
        "check_data_dir",
        "load",
        "load_and_test",
        "load_data",
        "open_run",
        "resolve_recipe",
        "resume",
        "run",
        "train_and_save",
    ),
    "zoo.pipeline.load": ("LoadedModel",),
    "zoo.pipeline.reproduction": (
        "Reproduction",
        "reproduce",
    ),
    "zoo.pipeline.results": (
        "read_results",
        "record_results",
    ),
    "zoo.recipes.settings": ("setting_text",),
    "zoo.registry.catalog": ("Catalog",),
    "zoo.registry.entries": (
        "Entry",
        "Recipe",
    ),
    "zoo.registry.hookspecs": ("hookimpl",),
    "zoo.registry.plugins": ("load_registry",),
    "zoo.registry.registry": ("Registry",),
    "zoo.runs.predictions": (
        "Predictions",
        "read_predictions",
    ),
    "zoo.runs.record_io": (
        "read_record",
        "write_record",
    ),
    "zoo.runs.records": (
        "EpochRecord",
        "Metrics",
        "RecipeRecord",
        "RecipeResults",
        "RunRecord",
        "SeedRecord",
    ),
    "zoo.runs.run_folder": (
        "Run",
        "check_unused",
        "claimed",
        "find_runs",
    ),
    "zoo.utils.allocator": ("keep_freed_memory",),
    "zoo.utils.extras": ("missing_extra",),
    "zoo.utils.files": (
        "check_writable",
        "write_file",
    ),
    "zoo.utils.hardware": (
        "enable_onednn",
        "usable_memory",
    ),
    "zoo.utils.keras_import": ("import_keras",),
    "zoo.utils.signals": (
        "HeldSignals",
        "StopRequested",
        "end_on_signals",
    ),
    "zoo.utils.text": (
        "one_line",
        "printable",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # type checkers read __init__.pyi


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        return import_module("importlib.metadata").version("keras-zoo")
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
