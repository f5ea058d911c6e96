"""Load the dataset that an exported file's model was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data.loading import load_split
from zoo.errors import ArtifactError, DataError
from zoo.pipeline.exported import make_exporter, read_metadata
from zoo.recipes.resolution import dataset_from_record
from zoo.registry.exported_files import exporter_of
from zoo.runs.records import differing_names
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from zoo.interfaces import Split
    from zoo.registry.registry import Registry


def load_exported_data(path: str | Path, registry: Registry, data_dir: str | Path | None) -> Split:
    """Load the dataset that an exported file names.

    Raises:
        ArtifactError: The file does not exist, is damaged, or was not written by ``zoo export``.
        DataError: The data is missing or malformed, or its classes, image size or digests differ from the file's.
        UnknownNameError: The plugin of the dataset is not installed.
    """
    path = Path(path)
    registered = exporter_of(path, registry)
    if registered is None or not path.exists():
        raise ArtifactError(f"{path} does not exist. Export a run with `zoo export RUN`.", path=path)
    with plugin_errors(f"exporter {registered.qualified_name}", f"read {path}"):
        record = read_metadata(make_exporter(registered), path)
    split = load_split(dataset_from_record(registry, record.dataset, record.plugins), data_dir, record.data.input_shape)
    names = differing_names(record.data.digests, split.digests) if record.data.digests else ""
    if names or list(split.class_names) != record.data.class_names:
        what = f"digests do not match ({names})" if names else "classes differ"
        raise DataError(
            f"The data is not that of the model in {path}: the {what}. Pass the data that it was trained on "
            f"(--data-dir). Received: data_dir={None if data_dir is None else str(data_dir)!r}",
            path=path,
        )
    return split
