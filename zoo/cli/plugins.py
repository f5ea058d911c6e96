"""``zoo plugins``, ``zoo check`` and ``zoo new``: commands for users and authors of plugins."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import output
from zoo.cli.completion import complete_plugins
from zoo.cli.options import data_dir_option, json_option, traceback_option
from zoo.errors import PluginWarning
from zoo.utils.keras_import import import_keras, silence_native_stderr

if TYPE_CHECKING:
    from zoo.cli.context import Session
    from zoo.registry.plugin import Plugin
    from zoo.testing import Result

_SYMBOLS = {"passed": "ok", "failed": "FAILED", "known": "known"}


@click.command(short_help="List plugins, and why any was not loaded.")
@json_option
@traceback_option
@click.pass_obj
def plugins(session: Session, as_json: bool) -> None:
    """List plugins, and why any was not loaded.

    Prints the version and source of each plugin, and what it registers. The exit status is 1 if ZOO_STRICT is set and
    a plugin was not loaded.
    """
    from zoo.registry.plugins import is_strict, load_registry

    with warnings.catch_warnings(), silence_native_stderr():
        warnings.simplefilter("ignore", PluginWarning)  # the list shows it
        found = list(load_registry(files=session.plugin_files, lenient=True).plugins.values())
    _show_plugins(found, as_json=as_json)
    sys.exit(1 if is_strict(os.environ) and any(plugin.error for plugin in found) else 0)


def _show_plugins(found: list[Plugin], *, as_json: bool) -> None:
    if as_json:
        output.echo_json([_describe(plugin) for plugin in found])
        return
    rows = [(plugin.name, plugin.version, _origin(plugin), _state(plugin)) for plugin in found]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    width = shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None
    for row in rows:
        line = "  ".join([*(text.ljust(size) for text, size in zip(row, widths, strict=False)), row[3]])
        click.echo(line[:width])


@click.command(short_help="Check everything that a plugin registers.")
@click.argument("plugin", shell_complete=complete_plugins)
@click.option(
    "--known-failure",
    "known",
    metavar="CHECK",
    multiple=True,
    help="Name of a check that is expected to fail; it counts as a failure if it passes. May be repeated.",
)
@data_dir_option
@json_option
@traceback_option
@click.pass_obj
def check(session: Session, plugin: str, known: tuple[str, ...], data_dir: Path | None, as_json: bool) -> None:
    """Check everything that a plugin registers.

    Builds, trains, saves and loads it on small inputs, and says how to fix each failure. The exit status is 1 if a
    check fails that is not declared with --known-failure.

    \b
    Example:
      zoo check my-plugin
    """
    from zoo.testing import check_plugin, checks_of

    registry = session.registry
    with silence_native_stderr(), contextlib.redirect_stdout(sys.stderr):
        checks_of(plugin, registry=registry, data_dir=data_dir)  # before Keras: a plugin may be left out
    import_keras()

    def show(result: Result) -> None:
        if not as_json:
            click.echo(f"{_SYMBOLS[result.status]:<6}  {result.message or result.name}", file=stdout)

    stdout = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # keep what a plugin prints out of our output
        results = check_plugin(
            plugin,
            registry=registry,
            data_dir=data_dir,
            known_failures=dict.fromkeys(known, "declared"),
            on_result=show,
        )
    failed = sum(result.status == "failed" for result in results)
    if as_json:
        output.echo_json(
            [{"check": result.name, "status": result.status, "message": result.message} for result in results]
        )
    else:
        counts = {status: sum(result.status == status for result in results) for status in _SYMBOLS}
        known_too = f", {counts['known']} known to fail" if counts["known"] else ""
        click.echo(f"{counts['passed']} passed, {counts['failed']} failed{known_too}")
    sys.exit(1 if failed else 0)


@click.command(short_help="Create a plugin project.")
@click.argument("name")
@click.option(
    "--into",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=True,
    help="Folder in which to create the folder NAME.",
)
@traceback_option
def new(name: str, into: Path) -> None:
    """Create a plugin project: a model, its tests and a pyproject.toml.

    NAME is the name of the plugin and of the new folder. Existing files are never overwritten.

    \b
    Example:
      zoo new my-plugin
    """
    from zoo.scaffold import write_project

    project = write_project(name, into)
    click.echo(f"Created {project}. Next steps:\n")
    click.echo(f"  pip install -e {shlex.quote(f'{project}[dev]')}")
    click.echo(f"  zoo run fashion-cnn --model {name}-net --epochs 1")
    click.echo(f"  zoo check {name}")
    click.echo(f"  pytest {shlex.quote(str(project))}")


def _describe(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "version": plugin.version,
        "origin": _origin(plugin),
        "loaded": plugin.error is None,
        "error": plugin.error,
        "seconds": round(plugin.seconds, 4),
        "registers": {kind: [item.name for item in items] for kind, items in plugin.registers.items() if items},
    }


def _origin(plugin: Plugin) -> str:
    return plugin.source if plugin.package is None else f"{plugin.package}: {plugin.source}"


def _state(plugin: Plugin) -> str:
    if plugin.error is not None:
        return f"not loaded: {plugin.error}"
    registers = [f"{kind} {item.name}" for kind, items in plugin.registers.items() for item in items]
    return ", ".join(registers) or "nothing"
