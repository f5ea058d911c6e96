"""Exceptions and warnings that zoo raises.

::

    ZooError
    +-- UnknownNameError    no registered object has that name (LookupError)
    +-- AmbiguousNameError  more than one plugin registers that name (LookupError)
    +-- InvalidEntryError   an object cannot be registered because it is not a valid entry or recipe (ValueError)
    +-- PluginError         a plugin, or something it registered, cannot be loaded or used
    +-- SettingError        a setting does not exist, or a value is not allowed (ValueError)
    +-- DataError           the files or arrays of a dataset are missing or malformed (ValueError)
    +-- RunFolderError      a run folder cannot be created, written or read
    +-- ArtifactError       stored weights or predictions are damaged, or do not fit the model or run (ValueError)
    +-- NoKerasModelError   an exported file has predictions, but no Keras model (AttributeError)
    +-- ParityError         predictions of an exported file do not match the model
    +-- ExportError         some of several formats could not be exported
    +-- DivergedError       training or prediction produced NaN or infinity (ArithmeticError)
    +-- CheckFailedError    a plugin failed a check (AssertionError)
    +-- CycleError          the loaded model's test metrics differ from the trained model's

    ZooWarning              something unexpected happened and the work continues (UserWarning)
    +-- DataHint            a setting does not suit the data
    +-- PluginWarning       a plugin, or something it provides, was left out
    +-- RenamedWarning      a former name was used

A message is one line: the fault, the cure, then the value received. Most facts are also attributes of the error.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

__all__ = [
    "AmbiguousNameError",
    "ArtifactError",
    "CheckFailedError",
    "CycleError",
    "DataError",
    "DataHint",
    "DivergedError",
    "ExportError",
    "InvalidEntryError",
    "NoKerasModelError",
    "ParityError",
    "PluginError",
    "PluginWarning",
    "RenamedWarning",
    "RunFolderError",
    "SettingError",
    "UnknownNameError",
    "ZooError",
    "ZooWarning",
]


class ZooError(Exception):
    """Base class of all errors that zoo raises.

    Subclasses carry their facts as attributes. An attribute is None or empty if its fact is unknown.
    """

    def with_message(self, message: str) -> Self:
        """Return a copy of this error, attributes included, with another message."""
        error = type(self).__new__(type(self))  # a plugin's subclass may take other arguments
        error.__dict__.update(self.__dict__)
        error.args = (message,)
        return error


class UnknownNameError(ZooError, LookupError):
    """No registered object has that name.

    Args:
        message: The fault and the cure.
        kind: Kind of the object: ``"model"``.
        name: The name that was looked up.
        suggestions: Similar names.
    """

    def __init__(
        self, message: str, *, kind: str | None = None, name: str | None = None, suggestions: Sequence[str] = ()
    ) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.kind, self.name, self.suggestions = kind, name, tuple(suggestions)


class AmbiguousNameError(ZooError, LookupError):
    """More than one plugin registers that name, and none takes precedence.

    Args:
        message: The fault and the cure.
        kind: Kind of the object: ``"model"``.
        name: The name that was looked up.
        choices: The qualified names (``plugin/name``) that it could refer to.
    """

    def __init__(
        self, message: str, *, kind: str | None = None, name: str | None = None, choices: Sequence[str] = ()
    ) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.kind, self.name, self.choices = kind, name, tuple(choices)


class InvalidEntryError(ZooError, ValueError):
    """An object cannot be registered because it is not a valid entry or recipe."""


class PluginError(ZooError):
    """A plugin, or something it registered, cannot be loaded or used.

    Args:
        message: The fault and the cure.
        plugin: Name of the plugin.
        file: The plugin's source file in which the error occurred.
        line: Line number in that file, from 1.
    """

    def __init__(
        self, message: str, *, plugin: str | None = None, file: str | None = None, line: int | None = None
    ) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.plugin, self.file, self.line = plugin, file, line


class SettingError(ZooError, ValueError):
    """A setting does not exist, or the value of a setting or argument is not allowed.

    Args:
        message: The fault and the cure.
        name: Name of the setting or argument: ``"model.dropout"``.
        value: The value received.
        suggestions: Names of similar settings, if no setting has that name.
    """

    def __init__(
        self, message: str, *, name: str | None = None, value: object = None, suggestions: Sequence[str] = ()
    ) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.name, self.value, self.suggestions = name, value, tuple(suggestions)


class _PathError(ZooError):
    def __init__(self, message: str, *, path: str | os.PathLike[str] | None = None) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.path = None if path is None else os.fspath(path)


class DataError(_PathError, ValueError):
    """The files or arrays of a dataset are missing or malformed.

    Args:
        message: The fault and the cure.
        path: The file or folder.
        dataset: Qualified name (``plugin/name``) of the dataset.
        split: The split whose images or labels are malformed: ``"train"``, ``"validation"`` or ``"test"``.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | os.PathLike[str] | None = None,
        dataset: str | None = None,
        split: str | None = None,
    ) -> None:
        """Initialize the error."""
        super().__init__(message, path=path)
        self.dataset, self.split = dataset, split


class RunFolderError(_PathError):
    """A run folder cannot be created, written or read.

    Args:
        message: The fault and the cure.
        path: The folder, or a file in it.
    """


class ArtifactError(_PathError, ValueError):
    """Stored weights or predictions are damaged, or do not fit the model or run that they are for.

    Args:
        message: The fault and the cure.
        path: The file.
    """


class NoKerasModelError(_PathError, AttributeError):
    """An exported file has predictions, but no Keras model, no trainer and no run.

    Args:
        message: The fault and the cure.
        path: The file.
    """


class ParityError(ZooError):
    """The predictions of an exported file do not match those of the model.

    Args:
        message: The fault and the cure.
        parity: How the two compare.
    """

    def __init__(self, message: str, *, parity: object = None) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.parity = parity


class ExportError(ZooError):
    """Some of several formats could not be exported; the others were.

    Args:
        message: The fault and the cure.
        exported: The files that were written, each a `zoo.Exported`.
        errors: The error of each format that failed, by the qualified name of its exporter.
    """

    def __init__(
        self, message: str, *, exported: Sequence[Any] = (), errors: Mapping[str, ZooError] | None = None
    ) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.exported, self.errors = tuple(exported), dict(errors or {})


class DivergedError(ZooError, ArithmeticError):
    """Training or prediction produced NaN or infinity.

    Args:
        message: The fault and the cure.
        epoch: The epoch in which training diverged, from 1.
        step: Number of completed steps in that epoch.
    """

    def __init__(self, message: str, *, epoch: int | None = None, step: int | None = None) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.epoch, self.step = epoch, step


class CheckFailedError(ZooError, AssertionError):
    """A plugin failed a check; the message says what to fix."""


class CycleError(ZooError):
    """The loaded model's test metrics differ from the trained model's.

    Args:
        message: The fault and the cure.
        trained: Test metrics of the trained model.
        loaded: Test metrics of the loaded model.
    """

    def __init__(self, message: str, *, trained: object = None, loaded: object = None) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.trained, self.loaded = trained, loaded


class ZooWarning(UserWarning):
    """Something unexpected happened and the work continues."""


class PluginWarning(ZooWarning):
    """A plugin, or something it provides, was left out."""


class DataHint(ZooWarning):
    """A setting does not suit the data, so that a run teaches little about a model."""


class RenamedWarning(ZooWarning):
    """A former name was used: it still resolves, but the object has a new name."""
