"""The models that a benchmark measures, and what is on record of them."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import ZooError, find_exports, open_run
from zoo.cli.toolkit import exporter_of, is_exported
from zoo.errors import ArtifactError, SettingError, ZooWarning
from zoo.runs import files_of, is_run, read_export_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo import Entry, Registry, Run
    from zoo.runs import ExportFileRecord

_WEIGHTS = "model.safetensors"
KERAS = "keras"
"""The format of a run's own model."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model to measure.

    Args:
        name: The run, recipe or file, as it was given; that of the file, if a run has two of one format.
        source: What to load: a run folder, a recipe or an exported file.
        format: As for `Result.format`.
        accuracy: Recorded test accuracy; None if there is none.
        size_bytes: Size of the weights file or of the exported files.
        is_exported: Whether it is an exported file.
    """

    name: str
    source: str
    format: str
    accuracy: float | None
    size_bytes: int
    is_exported: bool = False


def find_subjects(models: Iterable[str | Path], registry: Registry) -> list[Subject]:
    """Return the models that names stand for: a run with its exported files, or an exported file. Each appears once.

    Args:
        models: Run folders, recipes that ship with trained weights, and exported files.
        registry: Registry in which recipes and exporters are looked up.

    Raises:
        SettingError: None is given.
        ArtifactError: An exported file does not exist.
        RunFolderError: There is no such run, or the recipe ships without trained weights.
        UnknownNameError: It is neither a run folder nor a recipe, but similar to a recipe's name.
    """
    found: dict[str, Subject] = {}
    for model in models:
        name = os.fspath(model)
        several = (
            [_file(name, registry)]
            if is_exported(name, registry)
            else _of_run(name, open_run(model, registry=registry), registry)
        )
        for subject in several:
            found.setdefault(os.path.realpath(subject.source) if _is_path(subject) else subject.source, subject)
    if not found:
        raise SettingError(
            "Pass at least one run, recipe or exported file. Received: models=[]", name="models", value=[]
        )
    names = Counter((each.name, each.format) for each in found.values())
    return [each if names[each.name, each.format] == 1 else replace(each, name=each.source) for each in found.values()]


def _is_path(subject: Subject) -> bool:
    return subject.is_exported or is_run(Path(subject.source))


def _of_run(name: str, run: Run, registry: Registry) -> list[Subject]:
    """Return the model of a run, and then its exported files, sorted by name."""
    weights = run.path / _WEIGHTS
    test = run.record.test
    own = Subject(
        name=name,
        source=name if run.is_pretrained else str(run.path),
        format=KERAS,
        accuracy=test.accuracy if test is not None else None,
        size_bytes=weights.stat().st_size if weights.is_file() else 0,
    )
    exports = [
        _exported(name, each.path, each.record, _exporter_of(each.path, registry))
        for each in find_exports(run, registry=registry)
    ]
    return [own, *exports]


def _exporter_of(path: Path, registry: Registry) -> Entry:
    """Return the exporter that writes files with a path's suffix."""
    found = exporter_of(path, registry)
    if found is None:
        raise ArtifactError(f"{path} has the suffix of no exporter. Pass a file that `zoo export` wrote.", path=path)
    return found.item


def _file(name: str, registry: Registry) -> Subject:
    """Return an exported file, without an accuracy if there is no valid record of it.

    Raises:
        ArtifactError: It does not exist.
    """
    path = Path(name)
    exporter = _exporter_of(path, registry)
    if not path.exists():
        raise ArtifactError(f"{path} does not exist. Export a run with `zoo export RUN`.", path=path)
    try:
        record = read_export_record(path, str(exporter.suffix))
    except ZooError as error:
        warnings.warn(f"The recorded accuracy of {path} is not used: {error}", ZooWarning, stacklevel=2)
        record = None
    return _exported(name, path, record, exporter)


def _exported(name: str, path: Path, record: ExportFileRecord | None, exporter: Entry) -> Subject:
    files = _paths(path) if record is None else files_of(path, str(exporter.suffix), record)
    is_int8 = record is not None and record.export.int8
    has_accuracy = record is not None and record.is_run_data
    return Subject(
        name=name,
        source=str(path),
        format=f"{exporter.name} int8" if is_int8 else exporter.name,
        accuracy=record.parity.accuracy if record is not None and has_accuracy else None,
        size_bytes=sum(each.stat().st_size for each in files),
        is_exported=True,
    )


def _paths(path: Path) -> list[Path]:
    """Return the files of an exported file, which may be a folder."""
    return [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
