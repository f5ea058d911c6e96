"""Load the dataset that an exported file's model was trained on."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data.loading import check_data_dir, load_split
from zoo.errors import AmbiguousNameError, ArtifactError, DataError, PluginError, SettingError, UnknownNameError
from zoo.pipeline.exported import make_exporter, read_metadata
from zoo.recipes.run_recipes import dataset_from_record
from zoo.registry.exported_files import exporter_of
from zoo.runs.data_records import differing_names
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.interfaces import Split
    from zoo.registry.registry import Registry
    from zoo.runs.exports import ExportRecord


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
        record = read_metadata(make_exporter(registered), path, str(registered.item.suffix))
    split, fault = load_data_of(record, path, registry, data_dir)
    if fault:
        raise DataError(
            f"{fault} Pass the data that it was trained on (--data-dir). "
            f"Received: data_dir={None if data_dir is None else str(data_dir)!r}",
            path=path,
        )
    return split


def load_data_of(
    record: ExportRecord, path: Path, registry: Registry, data_dir: str | Path | None
) -> tuple[Split, str | None]:
    """Load the dataset of a record, and return a sentence that says how its digests differ, or None if they agree.

    Args:
        record: What an exported file says of itself.
        path: The file.
        registry: Registry in which the dataset is looked up.
        data_dir: As for `zoo.run`.

    Raises:
        DataError: The data is missing or malformed, or has other classes.
        UnknownNameError: The plugin of the dataset is not installed.
    """
    with _file_context(path):
        dataset = dataset_from_record(registry, record.dataset, record.plugins)
        check_data_dir(dataset, data_dir)
    split = load_split(dataset, data_dir, record.data.input_shape)
    if list(split.class_names) != record.data.class_names:
        raise DataError(
            f"The classes of the data differ from those of {path}. Pass data with the same classes in the same order. "
            f"Received: class_names={list(split.class_names)!r:.200}",
            path=path,
        )
    names = differing_names(record.data.digests, split.digests) if record.data.digests else ""
    return split, f"The data is not that of the model in {path}: the digests do not match ({names})." if names else None


@contextlib.contextmanager
def _file_context(path: Path) -> Iterator[None]:
    """Prefix errors about names and settings with the file that has them."""
    try:
        yield
    except (AmbiguousNameError, PluginError, SettingError, UnknownNameError) as error:
        raise error.with_message(f"{path}: {error}") from error
