"""Test an exported file on the test images of its dataset, without Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.data.loading import check_data_dir, load_split
from zoo.errors import ArtifactError, DataError, ZooWarning
from zoo.recipes.resolution import dataset_from_record
from zoo.runs.records import differing_names
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
    import warnings

    if loaded.exported is None:
        raise ArtifactError(f"{loaded.source} is not an exported file. Test it with zoo.test.", path=loaded.source)
    record = loaded.exported
    dataset = dataset_from_record(registry, record.dataset, record.plugins)
    check_data_dir(dataset, data_dir)
    progress.stage("loading the data")
    split = load_split(dataset, data_dir, loaded.input_shape)
    if split.class_names != loaded.class_names:
        raise DataError(
            f"The classes of the data differ from those of {loaded.source}. Pass data with the same classes in the "
            f"same order. Received: class_names={list(split.class_names)!r:.200}",
            path=data_dir,
        )
    if record.data.digests and (names := differing_names(record.data.digests, split.digests)):
        warnings.warn(
            f"The data differs from the data that the model was trained on: the digests do not match ({names}).",
            ZooWarning,
            stacklevel=2,
        )
    progress.stage("testing")
    with plugin_errors(f"file {loaded.source}", "predict the test images"):
        return evaluate_predictions(loaded.predict, split.test, len(split.class_names))
