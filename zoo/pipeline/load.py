"""Load the model of a run folder: the registered builder creates it, the artifact contains only weights."""

from __future__ import annotations

import os
import shlex
from functools import partial
from typing import TYPE_CHECKING

from zoo.data.loading import image_input_of
from zoo.errors import ArtifactError, PluginError, RunFolderError
from zoo.models import weights
from zoo.models.build import build_model, dtype_policy_of
from zoo.models.size import check_size
from zoo.pipeline.loaded_model import LoadedModel
from zoo.recipes import run_recipes
from zoo.runs import array_io
from zoo.runs.run_folder import MODEL
from zoo.training.trainer import make_trainer
from zoo.utils import files, hardware
from zoo.utils.keras_import import prepare_keras_import

if TYPE_CHECKING:
    import keras

    from zoo.recipes.components import Component
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run


def load_model(
    run: Run, registry: Registry, dtype_policy: str | None = None, *, in_float32: bool = False
) -> LoadedModel:
    """Load the model of a run.

    Args:
        run: The run.
        registry: Registry in which names are looked up.
        dtype_policy: The dtype policy that a precision of ``auto`` resolves to; None for whichever is fast on this
            machine.
        in_float32: Whether to build the model in float32, whatever its trainer requests.

    Raises:
        RunFolderError: The run has no saved model, or the model cannot be read.
        ArtifactError: The weights file is damaged or belongs to another model.
        UnknownNameError: The plugin that builds the model is not installed.
    """
    record = run.record
    if record.model_sha256 is None:
        raise RunFolderError(
            f"{run.path} has no saved model: "
            + (
                f"its training failed: {record.error}. Change its settings and start a new run. "
                if record.status == "failed"
                else f"its training is not finished. Finish it with `zoo resume {shlex.quote(str(run.path))}`. "
            )
            + f"Received: status={record.status!r}",
            path=run.path,
        )
    prepare_keras_import()
    resolved = run_recipes.from_run(registry, run)
    source = run.path / MODEL
    with run_recipes.record_context(run):
        image_input = image_input_of(
            run_recipes.dataset_from_record(registry, run_recipes.recorded_dataset(record), record.plugins)
        )
        trainer = make_trainer(resolved.trainer)
    with dtype_policy_of(trainer, dtype_policy, in_float32=in_float32):
        model = build_recorded(run, resolved.model)
    artifact = _read_artifact(run, array_io.size_limit(weights.layout_of(model)))
    weights.decode_into(model, artifact, str(source))
    return LoadedModel(
        source=run.path,
        class_names=tuple(record.data.class_names),
        input_shape=record.data.input_shape,
        image_input=image_input,
        _predict=partial(trainer.predict, model),
        _run=run,
        _model=model,
        _trainer=trainer,
    )


def build_recorded(run: Run, component: Component) -> keras.Model:
    """Build the model of a run, after checking that it takes no more memory than its weights file warrants.

    Every model that a record describes is built here: a stranger may have written the record.

    Args:
        run: The run. Its weights file may be missing; then the model may take a quarter of the memory.
        component: Its model.

    Raises:
        PluginError: The model is too large, or cannot be built; the message names the run's record.
    """
    source = run.path / MODEL
    shape, num_classes = run.record.data.input_shape, len(run.record.data.class_names)
    with run_recipes.record_context(run):
        if not run.is_pretrained:
            try:
                artifact = source if os.path.lexists(source) else None
                check_size(component, shape, num_classes, artifact, is_recorded=True)
            except PluginError:  # of a weights file that was cut off, say that rather than blame the settings
                if artifact is not None and files.size_of(artifact) <= hardware.usable_memory() // 4:
                    _check_digest(run, files.sha256_of(artifact))
                raise
        return build_model(component, shape, num_classes)


def _read_artifact(run: Run, limit: int) -> bytes:
    """Return the weights file of a run, which has at most ``limit`` bytes and the digest that the run recorded."""
    artifact = files.read(run.path / MODEL, limit)
    _check_digest(run, files.sha256(artifact))
    return artifact


def _check_digest(run: Run, digest: str) -> None:
    """Raise `ArtifactError` unless the weights file has the digest that the run recorded."""
    if digest != run.record.model_sha256:
        source = run.path / MODEL
        raise ArtifactError(
            f"{source} is not what its run saved: its digest differs from the one in run.json. Restore it from a copy, "
            "or train again.",
            path=source,
        )
