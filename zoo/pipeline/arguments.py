"""Check the types of the arguments of public functions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import NoneType

from zoo.errors import SettingError
from zoo.registry.plugins import load_registry
from zoo.registry.registry import Registry
from zoo.runs.run_folder import Run


def check_type(name: str, value: object, kinds: tuple[type, ...], words: str) -> None:
    """Raise `SettingError` unless an argument has one of these types.

    Args:
        name: Name of the argument.
        value: The value received.
        kinds: The types that it may have.
        words: The types in words: ``"a path or None"``.
    """
    if not isinstance(value, kinds):
        raise SettingError(f"{name!r} must be {words}. Received: {name}={value!r:.200}", name=name, value=value)


def check_path(name: str, value: object) -> None:
    """Raise `SettingError` unless an optional path has the right type."""
    check_type(name, value, (str, os.PathLike, NoneType), "a path or None")
    if value is not None and "\0" in os.fspath(value):  # type: ignore[call-overload]  # it is a path
        raise SettingError(f"{name!r} must be a path. Received: {name}={value!r:.200}", name=name, value=value)


def check_names(name: str, value: object) -> list[str]:
    """Return the names that an argument has, which may be one name.

    Raises:
        SettingError: It is something else.
    """
    given = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    names = [each for each in given if isinstance(each, str)]
    if len(names) < len(given):
        raise SettingError(f"{name!r} must be a name or names. Received: {name}={value!r:.200}", name=name, value=value)
    return names


def check_run(run: object) -> None:
    """Raise `SettingError` unless a run is given in one of the ways that public functions accept."""
    check_type("run", run, (Run, str, os.PathLike), "a zoo.Run, a path or a name")


def registry_or_default(registry: Registry | None) -> Registry:
    """Return the registry that a caller passed, or else a new one with all installed plugins.

    Raises:
        SettingError: It is something else.
    """
    check_type("registry", registry, (Registry, NoneType), "a zoo.Registry or None")
    return load_registry() if registry is None else registry
