"""Find a run by name: a run folder, or the pretrained run that ships with a recipe's plugin."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginError, RunFolderError, UnknownNameError
from zoo.registry.exported_files import is_exported
from zoo.utils import files, strict_json

if TYPE_CHECKING:
    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Recipe
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run


def open_run(registry: Registry, name: str | Path) -> Run:
    """Return the run in a folder, or the pretrained run of a recipe. A run folder takes precedence over a recipe.

    Raises:
        RunFolderError: There is no such run, its record is invalid, or the recipe ships without trained weights.
        UnknownNameError: The name is neither a folder nor a recipe, but similar to the name of a recipe.
    """
    from zoo.runs import run_folder

    text = str(name)
    if run_folder.is_run(Path(name)):
        return run_folder.open_run(Path(name))
    try:
        found = registry.recipes.get(text)
    except UnknownNameError as error:
        has_suffix = is_exported(text, registry)
        if os.path.isfile(text) or (has_suffix and os.path.isdir(text)):
            what, cure = (
                ("an exported file", "the run that it was exported from")
                if has_suffix
                else ("a file, without the suffix of an exported one", "a folder that `zoo run` or `zoo train` created")
            )
            raise RunFolderError(
                f"{text} is not a run folder: it is {what}. Pass {cure}. Received: run={text!r}", path=text
            ) from error
        if os.path.lexists(text):
            return run_folder.open_run(Path(name))  # its error says what is missing
        if error.suggestions:
            raise error.with_message(f"{text!r} is not a folder. {error}") from error
        raise RunFolderError(
            f"{text!r} is neither a folder nor a recipe. Pass a folder that `zoo run` or `zoo train` created, or the "
            f"name of a recipe that ships with trained weights. Received: run={text!r}",
            path=Path(name),
        ) from error
    run = pretrained_run(found)
    if run is None:
        raise RunFolderError(
            f"Recipe {found.qualified_name!r} ships without trained weights. Train it with `zoo run {text}`."
        )
    return run


def pretrained_run(found: Registered[Recipe]) -> Run | None:
    """Return the run that ships with a recipe, or None if there is none.

    Raises:
        PluginError: The recipe's ``trained`` does not name a path in a package.
        RunFolderError: The folder is not a run folder, or its record is invalid.
    """
    from zoo.runs import run_folder

    folder = _folder_of(found)
    return None if folder is None else replace(run_folder.open_run(folder), is_pretrained=True)


def recorded_metrics(found: Registered[Recipe]) -> dict[str, Any] | None:
    """Return the recorded metrics of a recipe, or None if there are none.

    They come from the run that ships with the recipe or, without one, from the recipe's own seed in its recorded
    results. Reads JSON only: does not import the modules that parse records.

    Raises:
        PluginError: The file is not where the recipe says, or its content is not as recorded.
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
        accelerator = run["environment"].get("accelerator")  # None if unknown
        return {
            "test_accuracy": float(run["test"]["accuracy"]),
            "parameters": int(record["parameters"]),
            "seconds": float(run["seconds"]["train"] if folder else run["seconds"]),
            "processor": str(run["environment"]["processor"]),
            "accelerator": None if accelerator is None else str(accelerator),
            "weights": folder is not None,
        }
    except (RunFolderError, LookupError, TypeError, ValueError) as error:
        raise PluginError(f"The {what} have no valid record (reinstall the plugin): {error}") from error


def _of_seed(seeds: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    for each in seeds:
        if each["seed"] == seed:
            return each
    raise ValueError(f"there is no seed {seed}")


def _folder_of(found: Registered[Recipe]) -> Path | None:
    trained = found.item.trained
    return (
        None if trained is None else package_path(found, trained, f"trained weights of recipe {found.qualified_name!r}")
    )


def package_path(found: Registered[Recipe], text: str, what: str) -> Path:
    """Return the path of a file or folder that ships with a plugin, whether or not it exists.

    Args:
        found: The recipe that names it.
        text: ``"package:path"``.
        what: How messages refer to it.

    Raises:
        PluginError: There is no such package, or it is a single-file module.
    """
    package, _, path = text.partition(":")
    try:
        spec = importlib.util.find_spec(package)
    except Exception:  # its import fails, or it is not a package
        spec = None
    if spec is not None and not spec.submodule_search_locations:
        raise PluginError(
            f"The {what} must be a path 'package:path', but {package!r} is a single-file module, which cannot ship "
            f"files. Turn the plugin into a package; `zoo new` creates one. Received: path={text!r}"
        )
    if spec is None or not spec.submodule_search_locations or not path:
        raise PluginError(
            f"The {what} must be a path 'package:path' in an installed package. Fix it in plugin {found.plugin!r}. "
            f"Received: path={text!r}"
        )
    return Path(spec.submodule_search_locations[0]) / path
