"""Runs by name: in a folder, or a recipe's, trained by its author and shipped with its plugin."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginError, RunFolderError, UnknownNameError
from zoo.utils import files, strict_json

if TYPE_CHECKING:
    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Recipe
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run


def open_run(registry: Registry, name: str | Path) -> Run:
    """Return the run in a folder, or that of a recipe; where a run folder has a recipe's name, the folder's.

    Raises:
        RunFolderError: There is no such run, its record is not valid, or the recipe comes without one.
        UnknownNameError: It is neither a folder nor a recipe, but close to one.
    """
    from zoo.runs import run_folder

    text = str(name)
    if run_folder.is_run(Path(name)):
        return run_folder.open_run(Path(name))
    try:
        found = registry.recipes.get(text)
    except UnknownNameError as error:
        if error.suggestions and not os.path.lexists(text):
            raise error.with_message(f"{text!r} is not a folder. {error}") from error
        return run_folder.open_run(Path(name))  # which says what is missing
    run = pretrained_run(found)
    if run is None:
        raise RunFolderError(
            f"The recipe {found.qualified_name!r} comes without trained weights: train it with `zoo run {text}`."
        )
    return run


def pretrained_run(found: Registered[Recipe]) -> Run | None:
    """Return the run that ships with a recipe, None if none does.

    Raises:
        PluginError: It is not where the recipe says.
        RunFolderError: Its record is not valid.
    """
    from zoo.runs import run_folder

    folder = _folder_of(found)
    return None if folder is None else replace(run_folder.open_run(folder), is_pretrained=True)


def recorded_metrics(found: Registered[Recipe]) -> dict[str, Any] | None:
    """Return what a recipe is recorded to come to, without importing what parses records; None if nothing is.

    The figures are those of the run that ships with it; without one, those of its own seed in its recorded results.

    Raises:
        PluginError: They are not where the recipe says, or not as they were recorded.
    """
    title = f"recipe {found.qualified_name!r}"
    if (folder := _folder_of(found)) is not None:
        what, path = f"trained weights of {title}", folder / "run.json"
    elif found.item.results is not None:
        what = f"results of {title}"
        path = package_path(found, found.item.results, what)
    else:
        return None
    try:
        record = json.loads(strict_json.verified_content(files.read(path, 1 << 20)) or b"")
        run = record if folder else _of_seed(record["seeds"], found.item.seed)
        accelerator = run["environment"].get("accelerator")  # None where that is not known
        return {
            "test_accuracy": float(run["test"]["accuracy"]),
            "parameters": int(record["parameters"]),
            "seconds": float(run["seconds"]["train"] if folder else run["seconds"]),
            "processor": str(run["environment"]["processor"]),
            "accelerator": None if accelerator is None else str(accelerator),
            "weights": folder is not None,
        }
    except (RunFolderError, LookupError, TypeError, ValueError) as error:
        raise PluginError(f"The {what} have no sound record: {error}") from error


def _of_seed(seeds: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    for each in seeds:
        if each["seed"] == seed:
            return each
    raise ValueError(f"they have no seed {seed}")


def _folder_of(found: Registered[Recipe]) -> Path | None:
    trained = found.item.trained
    return (
        None if trained is None else package_path(found, trained, f"trained weights of recipe {found.qualified_name!r}")
    )


def package_path(found: Registered[Recipe], text: str, what: str) -> Path:
    """Return where a file or folder lies that ships with a plugin, there or not.

    Args:
        found: The recipe that names it.
        text: ``"package:path"``.
        what: What to call it in the message.

    Raises:
        PluginError: There is no such package, or it is a module of one file.
    """
    package, _, path = text.partition(":")
    try:
        spec = importlib.util.find_spec(package)
    except Exception:  # it fails to be imported, or is no package
        spec = None
    if spec is not None and not spec.submodule_search_locations:
        raise PluginError(
            f"The {what} are given as 'package:path', and {package!r} is one file, no package. A plugin that is one "
            f"file can ship neither results nor weights: make a package of it, `zoo new` writes one. Received: {text!r}"
        )
    if spec is None or not spec.submodule_search_locations or not path:
        raise PluginError(
            f"The {what} are given as 'package:path', in a package of plugin {found.plugin!r}. Received: {text!r}"
        )
    return Path(spec.submodule_search_locations[0]) / path
