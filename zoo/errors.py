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

A message is one line: the fault, the cure, then what was received.
"""

from __future__ import annotations

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
    """The root of all errors that zoo raises on purpose."""


class UnknownNameError(ZooError, LookupError):
    """No data set, model, trainer, recipe or command has that name."""


class AmbiguousNameError(ZooError, LookupError):
    """Several plugins register that name, and none wins silently."""


class InvalidEntryError(ZooError, ValueError):
    """What is being registered is not a valid entry."""


class PluginError(ZooError):
    """A plugin, or something it registered, cannot be loaded or used."""


class SettingError(ZooError, ValueError):
    """A setting does not exist or has an impossible value."""


class DataError(ZooError, ValueError):
    """A data set's files or arrays are not what they should be."""


class RunFolderError(ZooError):
    """A run folder cannot be made, written or read."""


class ArtifactError(ZooError, ValueError):
    """Stored weights do not fit the model they are meant for."""


class DivergedError(ZooError, ArithmeticError):
    """Training produced NaN or infinity."""


class CheckFailedError(ZooError, AssertionError):
    """A plugin does not do what a check asks; the message says what to mend."""


class CycleError(ZooError):
    """The loaded model does not score what the trained one scored."""


class ZooWarning(UserWarning):
    """Something is odd, and the work goes on."""


class PluginWarning(ZooWarning):
    """A plugin was left out, or a part of it."""


class RenamedWarning(ZooWarning):
    """A name still resolves but has a successor."""
