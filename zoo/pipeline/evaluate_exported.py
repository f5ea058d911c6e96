"""Test an exported file on the test images of its dataset, without Keras."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from zoo.errors import ArtifactError, ZooWarning
from zoo.pipeline.exported_data import load_data_of
from zoo.training.metrics import evaluate_predictions
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.interfaces import Progress
    from zoo.pipeline.loaded_model import LoadedModel
    from zoo.registry.registry import Registry
    from zoo.training.metrics import Evaluation


def evaluate_exported(
    loaded: LoadedModel, registry: Registry, data_dir: str | Path | None, progress: Progress
) -> Evaluation:
    """Return the predictions of an exported file for the test images, with their metrics.

    Args:
        loaded: The opened file.
        registry: Registry in which the dataset is looked up.
        data_dir: As for `zoo.run`.
        progress: Notified as the test advances.

    Raises:
        ArtifactError: It is a run's model, not an exported file.
        DataError: The data is missing or malformed, or has other classes.
        UnknownNameError: The plugin of the dataset is not installed.
    """
    if loaded.exported is None:
        raise ArtifactError(f"{loaded.source} is not an exported file. Test it with zoo.test.", path=loaded.source)
    progress.stage("loading the data")
    split, fault = load_data_of(loaded.exported, loaded.source, registry, data_dir)
    if fault:
        warnings.warn(fault, ZooWarning, stacklevel=2)
    progress.stage("testing")
    with plugin_errors(f"file {loaded.source}", "predict the test images"):
        return evaluate_predictions(loaded.predict, split.test, len(split.class_names))
