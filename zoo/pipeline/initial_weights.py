"""Weights that a run starts from: those of a run, of a recipe that ships with trained weights, or of a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ArtifactError, RunFolderError, UnknownNameError
from zoo.models.matching import match_weights
from zoo.recipes import pretrained
from zoo.registry.catalog import resolve
from zoo.runs.records import InitRecord
from zoo.runs.run_folder import MODEL, is_run
from zoo.transfer.weights_file import read_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

    from zoo.interfaces import Progress
    from zoo.models.matching import Matching
    from zoo.recipes.components import Component
    from zoo.registry.registry import Registry

_SHOWN = 5  # names in a message; run.json has them all


@dataclass(frozen=True, kw_only=True)
class InitialWeights:
    """Weights to start from.

    Args:
        source: The run folder, recipe or file, as the caller gave it.
        path: The weights file.
        sha256: The digest that the run recorded for it; None for a file that is no run's.
        is_partial: Whether weights other than the head's may be missing.
    """

    source: str
    path: Path
    sha256: str | None
    is_partial: bool


def find_weights(registry: Registry, source: str | Path, *, is_partial: bool) -> InitialWeights:
    """Return the weights that a name or path stands for, without reading them.

    Raises:
        RunFolderError: It is neither a run with a saved model nor a recipe with trained weights nor a file.
        UnknownNameError: It is none of these, but similar to the name of a recipe.
    """
    text = os.fspath(source)
    if os.path.lexists(text) and not is_run(Path(text)) and not Path(text).is_dir():
        return InitialWeights(source=text, path=Path(text), sha256=None, is_partial=is_partial)
    try:
        run = pretrained.open_run(registry, source)
    except UnknownNameError:
        raise
    except RunFolderError as error:
        raise RunFolderError(
            f"There are no weights to start from: {error} Pass a run folder, a recipe with trained weights or a file "
            f"of weights. Received: init={text!r}",
            path=error.path,
        ) from error
    if run.record.model_sha256 is None:
        raise RunFolderError(
            f"There are no weights to start from: the run in {run.path} has no saved model, because its training is "
            f"not finished. Received: init={text!r}, status={run.record.status!r}",
            path=run.path,
        )
    return InitialWeights(source=text, path=run.path / MODEL, sha256=run.record.model_sha256, is_partial=is_partial)


def layer_names(registry: Registry, model: Component) -> Callable[[str], str | None] | None:
    """Return the function of a model's entry that maps names of layers in weights files, if it has one."""
    try:
        registered = registry.models.get(f"{model.plugin}/{model.name}")
    except UnknownNameError:
        return None
    return resolve(registered, "weight_names") if registered.item.weight_names is not None else None


def take_weights(
    init: InitialWeights, model: keras.Model, component: Component, registry: Registry, progress: Progress
) -> InitRecord:
    """Give a model the weights to start from.

    Args:
        init: The weights.
        model: The model, with random weights.
        component: What built it.
        registry: Registry in which the model's entry is looked up.
        progress: Told what was taken and what was not.

    Raises:
        ArtifactError: The file cannot be read, or other weights than those of the head have no counterpart in it.
    """
    progress.stage(f"taking weights from {init.source}")
    file = read_weights(init.path)
    if init.sha256 is not None and file.sha256 != init.sha256:
        raise ArtifactError(
            f"{init.path} is not what its run saved: its digest differs from the one in run.json. Restore it from a "
            f"copy, or train again. Received: init={init.source!r}",
            path=init.path,
        )
    matching = match_weights(file, model, layer_names(registry, component))
    if not matching.taken or not (matching.fits or init.is_partial):
        cure = "Choose the model and settings that they belong to"
        cure += ", or pass --init-partial (init_partial=True) to take what fits" if matching.taken else ""
        raise ArtifactError(
            f"The weights in {init.source} do not fit {component.title}. {describe(matching)} {cure}. "
            f"Received: init={init.source!r}",
            path=init.path,
        )
    for each in matching.taken:
        each.variable.assign(each.value)
    progress.stage(describe(matching))
    return InitRecord(
        source=init.source,
        format=file.format if init.sha256 is None else "run",
        sha256=file.sha256,
        taken=len(matching.taken),
        new=list(matching.kept),
        unused=list(matching.unused),
    )


def describe(matching: Matching) -> str:
    """Return what was taken and what was not, in one or more sentences."""
    total = len(matching.taken) + len(matching.kept)
    text = f"{len(matching.taken)} of {total} weights taken."
    if matching.kept:
        text += f" New: {_listed(matching.kept)}."
    if matching.unused:
        text += f" Not used: {_listed(matching.unused)}."
    return text


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
