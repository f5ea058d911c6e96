"""What ``zoo serve`` does: checks the address, loads the model, and serves it until a signal comes."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import TYPE_CHECKING

import click
import numpy as np

from zoo.cli.toolkit import import_keras
from zoo.errors import SettingError
from zoo.images import warnings_are_errors
from zoo_serve.batch_sizes import batch_sizes
from zoo_serve.engine import Engine
from zoo_serve.guard import LOOPBACK_NAMES, Guard
from zoo_serve.keys import ApiKeys
from zoo_serve.request_log import RequestLog
from zoo_serve.served_model import load_served
from zoo_serve.server import Server, is_loopback, url_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from zoo import Registry
    from zoo_serve.limits import Limits
    from zoo_serve.served_model import ServedModel


def check_address(listener: socket.socket, host: str, allowed: Iterable[str], key_file: Path | None) -> Guard:
    """Return what checks requests that come in at an address.

    Args:
        listener: The socket.
        host: The address as it was given.
        allowed: More names that the ``Host`` header may have. Beyond loopback, it may have any name if there are none.
        key_file: File of API keys, or None.

    Raises:
        SettingError: Other machines can reach the address, and there are no keys; or the file has none.
    """
    keys = None if key_file is None else ApiKeys.from_file(key_file)
    allowed = tuple(allowed)
    given = (*LOOPBACK_NAMES, host.strip("[]"), listener.getsockname()[0], *allowed)
    names = frozenset(each.lower().rstrip(".") for each in given)
    if is_loopback(listener):
        return Guard(names, keys)
    if keys is None:
        raise SettingError(
            "Other machines can reach this address, so the service needs API keys. Pass --api-key-file FILE, or listen "
            f"on 127.0.0.1. Received: --host {host}",
            name="api_key_file",
            value=None,
        )
    return Guard(names if allowed else None, keys, is_public=True)


def run_service(
    source: str,
    registry: Registry,
    listener: socket.socket,
    guard: Guard,
    limits: Limits,
    *,
    name: str | None,
    use_keras: bool,
    is_quiet: bool,
) -> None:
    """Load a model and serve it until a signal comes.

    Args:
        source: As for `load_served`, as are ``registry``, ``name`` and ``use_keras``.
        registry: The registry.
        listener: Socket that listens.
        guard: Checks every request.
        limits: Limits of the service.
        name: Name of the model in paths, or None.
        use_keras: Whether the Keras model is wanted.
        is_quiet: Whether to write no line for each request.

    Raises:
        SettingError, RunFolderError, ArtifactError, PluginError: The model cannot be loaded.
    """
    with started(
        source, registry, limits, name=name, use_keras=use_keras, before_keras=load_keras, is_quiet=is_quiet
    ) as (engine, log):
        served = engine.served
        server = Server(engine, guard, log, lambda: announce(served.title, served.name, listener))
        server.serve_until_stopped(listener)


@contextlib.contextmanager
def started(
    source: str,
    registry: Registry,
    limits: Limits,
    *,
    name: str | None,
    use_keras: bool,
    before_keras: Callable[[], object],
    is_quiet: bool,
    threads: int | None = None,
) -> Iterator[tuple[Engine, RequestLog]]:
    """Load a model, and yield what computes and the log, both of which end with the block.

    The arguments and errors are those of `run_service` and `load_served`.
    """
    with contextlib.redirect_stdout(sys.stderr):  # keep what a plugin prints out of our output
        served = load_served(
            source, registry, name=name, use_keras=use_keras, before_keras=before_keras, threads=threads
        )
        warm_up(served, limits)
    gc.collect()
    gc.freeze()  # what is loaded stays: collections need not look at it while requests wait
    with (
        warnings_are_errors(),
        Engine(served, limits) as engine,
        RequestLog(None if is_quiet else sys.stderr) as log,
    ):
        yield engine, log


def warm_up(served: ServedModel, limits: Limits) -> None:
    """Compute random images once in batches of one, and of the sizes that take longer when they first come.

    Not black ones: a model that scales contrast may have no finite answer for these.
    """
    for count in batch_sizes(limits.max_batch) if served.compiles_each_size else {1, limits.max_batch}:
        shape = (count, *served.model.input_shape)
        served.model.predict(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def load_keras() -> None:
    """Say that Keras is loaded, and import it."""
    click.echo("loading Keras and the model", err=True)  # which takes seconds
    import_keras()


def announce(title: str, name: str, listener: socket.socket) -> None:
    """Say what is served, and where.

    Args:
        title: The model and what runs it.
        name: Name of the model in paths.
        listener: Socket that listens.
    """
    with contextlib.suppress(OSError):  # nobody reads
        click.echo(f"Serving {title}, as model {name}.", err=True)
        click.echo(f"Listening on {url_of(listener)}/ (process {os.getpid()}). Stop with Ctrl-C.", err=True)
