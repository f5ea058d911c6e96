"""Weights that a run starts from: those of a run, of a recipe that ships with trained weights, or of a file."""

from __future__ import annotations

import os
import shlex
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ArtifactError, PluginError, RunFolderError, UnknownNameError, ZooWarning
from zoo.models.matching import match_weights
from zoo.recipes import pretrained
from zoo.registry.catalog import resolve
from zoo.runs.checkpoints import numbers_in
from zoo.runs.records import InitRecord
from zoo.runs.run_folder import MODEL, is_run
from zoo.transfer.weights_file import read_weights
from zoo.utils.plugin_errors import plugin_errors
from zoo.utils.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

    from zoo.interfaces import Progress
    from zoo.models.matching import Matching
    from zoo.recipes.components import Component
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run
    from zoo.transfer.weights_file import WeightsFile

_SHOWN = 5  # names in a message; run.json has them all


@dataclass(frozen=True, kw_only=True)
class InitialWeights:
    """Weights to start from.

    Args:
        source: The run folder, recipe or file, as the caller gave it.
        path: The weights file.
        sha256: The digest that the file must have; None if any will do.
        is_run: Whether it is the file of a run.
        is_partial: Whether weights other than the head's may be missing.
    """

    source: str
    path: Path
    sha256: str | None
    is_run: bool
    is_partial: bool


def find_weights(registry: Registry, source: str | Path, *, is_partial: bool) -> InitialWeights:
    """Return the weights that a name or path stands for, without reading them.

    Raises:
        RunFolderError: It is neither a run with a saved model nor a recipe with trained weights nor a file.
    """
    text, path = os.fspath(source), Path(source)
    exists = os.path.lexists(text)
    cure = "Start from a run folder, a recipe with trained weights or a weights file."
    if exists and not is_run(path):
        if path.is_dir():
            raise RunFolderError(f"{text} is a folder, but not of a run. {cure} Received: init={text!r}", path=text)
        return InitialWeights(source=text, path=path, sha256=None, is_run=False, is_partial=is_partial)
    try:
        run = pretrained.open_run(registry, source) if exists else _pretrained(registry, text)
    except UnknownNameError as error:
        raise RunFolderError(
            f"{text!r} is neither a file nor a run folder nor a recipe.{did_you_mean(list(error.suggestions))} {cure} "
            f"Received: init={text!r}",
            path=text,
        ) from error
    if run.record.model_sha256 is None:
        raise RunFolderError(
            f"The run in {run.path} has no saved model to start from, because its training is not finished. Finish it "
            f"with `zoo resume {shlex.quote(str(run.path))}`. Received: init={text!r}, status={run.record.status!r}",
            path=run.path,
        )
    return InitialWeights(
        source=text, path=run.path / MODEL, sha256=run.record.model_sha256, is_run=True, is_partial=is_partial
    )


def _pretrained(registry: Registry, recipe: str) -> Run:
    registry.recipes.get(recipe)  # an unknown name is no missing folder here
    return pretrained.open_run(registry, recipe)


def find_again(registry: Registry, run: Run) -> InitialWeights | None:
    """Return the weights that a run was to start from, if it has no checkpoint yet.

    Raises:
        RunFolderError: They are not where they were.
    """
    init = run.record.init
    if init is None or run.record.model_sha256 is not None or numbers_in(run.path):
        return None
    try:
        found = find_weights(registry, init.source, is_partial=True)
    except RunFolderError as error:
        raise RunFolderError(
            f"The run in {run.path} cannot be resumed: it has no checkpoint, and the weights that it was to start from "
            f"are gone. Restore them, or start a new run. Received: init={init.source!r}",
            path=run.path,
        ) from error
    return replace(found, sha256=init.sha256, is_run=init.format == "run")


def layer_names(registry: Registry, model: Component) -> Callable[[str], str | None] | None:
    """Return the function of a model's entry that maps names of layers in weights files, if it has one."""
    try:
        registered = registry.models.get(f"{model.plugin}/{model.name}")
    except UnknownNameError:
        return None
    if registered.item.weight_names is None:
        return None
    function = resolve(registered, "weight_names")

    def layer_name(layer: str) -> str | None:
        with plugin_errors(f"weight_names of {model.title}", f"return the layer for {layer!r}"):
            name: object = function(layer)
        if name is not None and not isinstance(name, str):
            raise PluginError(
                f"The weight_names of {model.title} must return the name of a layer or None. "
                f"Received: {name!r:.100} for {layer!r:.100}",
                plugin=model.plugin,
            )
        return name

    return layer_name


def take_weights(
    init: InitialWeights, model: keras.Model, component: Component, registry: Registry, progress: Progress
) -> InitRecord:
    """Give a model the weights to start from; arguments and errors as for `match_file`."""
    file, matching = match_file(init, model, component, registry, progress)
    return record_of(init, file, matching)


def match_file(
    init: InitialWeights,
    model: keras.Model,
    component: Component,
    registry: Registry,
    progress: Progress,
    *,
    is_whole: bool = False,
) -> tuple[WeightsFile, Matching]:
    """Read weights and give them to a model.

    Args:
        init: The weights.
        model: The model, with random weights.
        component: What built it.
        registry: Registry in which the model's entry is looked up.
        progress: Told what was taken and what was not.
        is_whole: Whether the head must be in the file too.

    Raises:
        ArtifactError: The file cannot be read, or other weights than those of the head have no counterpart in it.
    """
    progress.stage(f"reading weights from {init.source}")
    file = read_weights(init.path)
    if init.sha256 is not None and file.sha256 != init.sha256:
        raise ArtifactError(
            f"{init.path} has changed: its digest differs from the one in run.json. Restore it from a copy, or train "
            f"again. Received: init={init.source!r}",
            path=init.path,
        )
    matching = match_weights(file, model, layer_names(registry, component))
    fitting = describe(matching, "fit")
    if not file.is_ordered and not matching.taken:
        fitting += f" The arrays of {file.format} files have no order, and the model has none of their names."
    if is_whole and matching.fits and matching.kept:
        raise ArtifactError(
            f"The weights in {init.source} have no head for the classes of {component.title}. {fitting} Start a run "
            f"from them instead, with --init {init.source}. Received: file={init.source!r}",
            path=init.path,
        )
    if not matching.taken or not (matching.fits or init.is_partial):
        cure = "Choose the model and settings that they belong to"
        if matching.taken and not is_whole and not init.is_partial:
            cure += ", or pass --init-partial (init_partial=True) to take what fits"
        raise ArtifactError(
            f"The weights in {init.source} do not fit {component.title}. {fitting} {cure}. "
            f"Received: {'file' if is_whole else 'init'}={init.source!r}",
            path=init.path,
        )
    for each in matching.taken:
        each.variable.assign(each.value)
    taken = describe(matching, "taken")
    if matching.fits:
        progress.stage(taken)
    else:
        warnings.warn(f"The weights in {init.source} do not fit {component.title}. {taken}", ZooWarning, stacklevel=2)
    return file, matching


def record_of(init: InitialWeights, file: WeightsFile, matching: Matching) -> InitRecord:
    """Return what ``run.json`` records of weights that were taken."""
    return InitRecord(
        source=init.source,
        format="run" if init.is_run else file.format,
        sha256=file.sha256,
        taken=len(matching.taken),
        new=list(matching.kept),
        unused=list(matching.unused),
    )


def describe(matching: Matching, verb: str) -> str:
    """Return what fits and what does not, in one or more sentences: ``"8 of 10 weights taken. New: dense/kernel."``."""
    total = len(matching.taken) + len(matching.kept)
    text = f"{len(matching.taken)} of {total} weights {verb}."
    if matching.kept:
        text += f" {'New' if verb == 'taken' else 'Missing'}: {_listed(matching.kept)}."
    if matching.unused:
        text += f" Not used: {_listed(matching.unused)}."
    return text


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
