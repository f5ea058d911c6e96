"""The models that a benchmark measures, and what is on record of them."""

from __future__ import annotations

import hashlib
import os
import pkgutil
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import ZooError, open_run
from zoo.errors import ArtifactError, SettingError, ZooWarning
from zoo.runs import ExportFileRecord, is_run, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo import Entry, Registry, Run

_EXPORTS = "exports"  # folder of a run's exported files
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
        exporter = _exporter_of(Path(name), registry)
        several = (
            _of_run(name, open_run(model, registry=registry), registry)
            if exporter is None
            else [_exported(name, Path(name), exporter)]
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
    folder = Path(_EXPORTS) if run.is_pretrained else run.path / _EXPORTS
    exports = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        exporter = _exporter_of(path, registry)
        if exporter is None or _has_programs(exporter):
            continue
        if run.is_pretrained and not _is_of(path, run):  # those of all recipes are in one folder
            continue
        exports.append(_exported(name, path, exporter))
    return [own, *exports]


def _exporter_of(path: Path, registry: Registry) -> Entry | None:
    """Return the exporter that writes files with a path's suffix, or None."""
    name = path.name.lower()
    return next(
        (each.item for each in registry.exporters if each.item.suffix and name.endswith(each.item.suffix)), None
    )


def _has_programs(exporter: Entry) -> bool:
    """Return whether files of an exporter may contain programs: `zoo.load` does not open them."""
    target = exporter.target
    try:
        return bool(getattr(pkgutil.resolve_name(target) if isinstance(target, str) else target, "has_programs", False))
    except Exception:  # whatever is wrong with it, loading the file will tell
        return False


def _is_of(path: Path, run: Run) -> bool:
    """Return whether an exported file is recorded to have the weights of a run."""
    record = _record_of(path)
    return record is not None and record.export.model_sha256 == run.record.model_sha256


def _exported(name: str, path: Path, exporter: Entry) -> Subject:
    """Return an exported file.

    Raises:
        ArtifactError: It does not exist.
    """
    if not path.exists():
        raise ArtifactError(f"{path} does not exist. Export a run with `zoo export RUN`.", path=path)
    record = _record_of(path)
    files = _paths(path) if record is None else [path.parent / each for each in record.files]
    is_int8 = record is not None and record.export.int8
    return Subject(
        name=name,
        source=str(path),
        format=f"{exporter.name} int8" if is_int8 else exporter.name,
        accuracy=None if record is None else record.parity.accuracy,
        size_bytes=sum(each.stat().st_size for each in files),
        is_exported=True,
    )


def _paths(path: Path) -> list[Path]:
    """Return the files of an exported file, which may be a folder."""
    return [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]


def _record_of(path: Path) -> ExportFileRecord | None:
    """Return what is recorded beside an exported file, or None if there is nothing, or nothing of these very files."""
    beside = path.with_name(path.name + ".json")
    if not beside.exists():
        return None
    try:
        record = read_record(beside, ExportFileRecord)
        for name, expected in record.files.items():
            with (path.parent / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected.sha256:
                    raise ArtifactError(f"{path.parent / name} was changed after it was exported.", path=path)
    except (ZooError, OSError) as error:
        warnings.warn(f"The recorded accuracy of {path} is not used: {error}", ZooWarning, stacklevel=2)
        return None
    return record
