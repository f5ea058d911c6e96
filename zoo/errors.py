"""Every error that zoo raises on purpose.

::

    ZooError
    +-- UnknownNameError    no data set, model, trainer, recipe or command has that name (LookupError)
    +-- AmbiguousNameError  several plugins register that name (LookupError)
    +-- InvalidEntryError   what is being registered is not a valid entry (ValueError)
    +-- PluginError         a plugin, or something it registered, cannot be loaded or used
    +-- SettingError        a setting does not exist or has an impossible value (ValueError)
    +-- DataError           a data set's files or arrays are not what they should be (ValueError)
    +-- RunFolderError      a run folder cannot be made, written or read
    +-- ArtifactError       stored weights do not fit the model (ValueError)
    +-- DivergedError       training produced NaN or infinity (ArithmeticError)
    +-- CheckFailedError    a plugin does not do what a check asks (AssertionError)
    +-- CycleError          the loaded model does not score what the trained one scored

    ZooWarning              something is odd, and the work goes on
    +-- PluginWarning       a plugin was left out, or a part of it
    +-- RenamedWarning      a name still resolves but has a successor

A message is one line: the fault, the cure, then what was received. The facts are attributes too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = [
    "AmbiguousNameError",
    "ArtifactError",
    "CheckFailedError",
    "CycleError",
    "DataError",
    "DivergedError",
    "InvalidEntryError",
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
    """The root of all errors that zoo raises on purpose.

    Subclasses carry their facts as attributes, each None or empty where it is not known; see there.
    """

    def with_message(self, message: str) -> Self:
        """Return the same error, its facts included, with another message."""
        error = type(self).__new__(type(self))  # a subclass of a plugin's may be made of something else
        error.__dict__.update(self.__dict__)
        error.args = (message,)
        return error


class UnknownNameError(ZooError, LookupError):
    """No data set, model, trainer, recipe or command has that name.

    Args:
        message: The fault and the cure.
        kind: What was looked for: ``"model"``.
        name: The name.
        suggestions: Names that are close to it.
    """

    def __init__(
        self, message: str, *, kind: str | None = None, name: str | None = None, suggestions: Sequence[str] = ()
    ) -> None:
        """Make the error."""
        super().__init__(message)
        self.kind, self.name, self.suggestions = kind, name, tuple(suggestions)


class AmbiguousNameError(ZooError, LookupError):
    """Several plugins register that name, and none wins silently.

    Args:
        message: The fault and the cure.
        kind: What was looked for: ``"model"``.
        name: The name.
        choices: The qualified names that it may stand for.
    """

    def __init__(
        self, message: str, *, kind: str | None = None, name: str | None = None, choices: Sequence[str] = ()
    ) -> None:
        """Make the error."""
        super().__init__(message)
        self.kind, self.name, self.choices = kind, name, tuple(choices)


class InvalidEntryError(ZooError, ValueError):
    """What is being registered is not a valid entry."""


class PluginError(ZooError):
    """A plugin, or something it registered, cannot be loaded or used.

    Args:
        message: The fault and the cure.
        plugin: Name of the plugin.
        file: The file of the plugin's code that failed.
        line: The line in it, from 1.
    """

    def __init__(
        self, message: str, *, plugin: str | None = None, file: str | None = None, line: int | None = None
    ) -> None:
        """Make the error."""
        super().__init__(message)
        self.plugin, self.file, self.line = plugin, file, line


class SettingError(ZooError, ValueError):
    """A setting does not exist or has an impossible value.

    Args:
        message: The fault and the cure.
        name: Name of the setting: ``"model.dropout"``.
        value: What was given for it.
        suggestions: Names of settings that are close to the name, if there is none of that name.
    """

    def __init__(
        self, message: str, *, name: str | None = None, value: object = None, suggestions: Sequence[str] = ()
    ) -> None:
        """Make the error."""
        super().__init__(message)
        self.name, self.value, self.suggestions = name, value, tuple(suggestions)


class _PathError(ZooError):
    def __init__(self, message: str, *, path: str | os.PathLike[str] | None = None) -> None:
        """Make the error."""
        super().__init__(message)
        self.path = None if path is None else os.fspath(path)


class DataError(_PathError, ValueError):
    """A data set's files or arrays are not what they should be.

    Args:
        message: The fault and the cure.
        path: The file or folder.
    """


class RunFolderError(_PathError):
    """A run folder cannot be made, written or read.

    Args:
        message: The fault and the cure.
        path: The folder, or the file in it.
    """


class ArtifactError(_PathError, ValueError):
    """Stored weights do not fit the model they are meant for.

    Args:
        message: The fault and the cure.
        path: The artifact.
    """


class DivergedError(ZooError, ArithmeticError):
    """Training produced NaN or infinity.

    Args:
        message: The fault and the cure.
        epoch: In which epoch, from 1.
        step: After how many of its steps.
    """

    def __init__(self, message: str, *, epoch: int | None = None, step: int | None = None) -> None:
        """Make the error."""
        super().__init__(message)
        self.epoch, self.step = epoch, step


class CheckFailedError(ZooError, AssertionError):
    """A plugin does not do what a check asks; the message says what to fix."""


class CycleError(ZooError):
    """The loaded model does not score what the trained one scored.

    Args:
        message: The fault and the cure.
        trained: Test metrics of the trained model.
        loaded: Test metrics of the loaded one.
    """

    def __init__(self, message: str, *, trained: object = None, loaded: object = None) -> None:
        """Make the error."""
        super().__init__(message)
        self.trained, self.loaded = trained, loaded


class ZooWarning(UserWarning):
    """Something is odd, and the work goes on."""


class PluginWarning(ZooWarning):
    """A plugin was left out, or a part of it."""


class RenamedWarning(ZooWarning):
    """A name still resolves but has a successor."""
