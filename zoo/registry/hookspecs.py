"""The hooks that a plugin can implement. Each returns data; nothing is imported or built before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo.registry.entries import Entry, Recipe

hookspec = pluggy.HookspecMarker("zoo")
hookimpl = pluggy.HookimplMarker("zoo")
"""Decorator that marks a function of a plugin as the implementation of a hook."""


@hookspec
def register_datasets() -> Iterable[Entry]:  # type: ignore[empty-body]  # a specification has no body
    """Return dataset entries."""


@hookspec
def register_models() -> Iterable[Entry]:  # type: ignore[empty-body]  # a specification has no body
    """Return model builder entries."""


@hookspec
def register_trainers() -> Iterable[Entry]:  # type: ignore[empty-body]  # a specification has no body
    """Return trainer entries."""


@hookspec
def register_recipes() -> Iterable[Recipe]:  # type: ignore[empty-body]  # a specification has no body
    """Return runnable recipes."""


@hookspec
def register_optimizers() -> Iterable[Entry]:  # type: ignore[empty-body]  # a specification has no body
    """Return optimizer entries."""


@hookspec
def register_schedules() -> Iterable[Entry]:  # type: ignore[empty-body]  # a specification has no body
    """Return learning rate schedule entries."""


@hookspec
def register_losses() -> Iterable[Entry]:  # type: ignore[empty-body]  # a specification has no body
    """Return loss entries."""


@hookspec
def register_augmentations() -> Iterable[Entry]:  # type: ignore[empty-body]  # a specification has no body
    """Return augmentation entries."""


@hookspec
def register_metrics() -> Iterable[Entry]:  # type: ignore[empty-body]  # a specification has no body
    """Return metric entries."""


@hookspec
def register_callbacks() -> Iterable[Entry]:  # type: ignore[empty-body]  # a specification has no body
    """Return callback entries."""


@hookspec
def register_exporters() -> Iterable[Entry]:  # type: ignore[empty-body]  # a specification has no body
    """Return exporter entries."""


@hookspec
def register_commands() -> Iterable[Entry]:  # type: ignore[empty-body]  # a specification has no body
    """Return click command entries, imported when called."""
