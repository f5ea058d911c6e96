"""``zoo list``."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import output
from zoo.cli.completion import complete_kinds
from zoo.cli.options import json_option, traceback_option
from zoo.errors import UnknownNameError, ZooError, ZooWarning
from zoo.registry.kinds import KINDS, TABLE, kind_named
from zoo.utils import text

if TYPE_CHECKING:
    from zoo.cli.context import Session
    from zoo.registry.catalog import Registered
    from zoo.registry.registry import Registry


@click.command("list", short_help="List registered recipes, models, datasets and more.")
@click.argument("kind", required=False, shell_complete=complete_kinds)
@click.argument("pattern", required=False)
@json_option
@traceback_option
@click.pass_obj
def list_(session: Session, kind: str | None, pattern: str | None, as_json: bool) -> None:
    """List registered recipes, models, datasets and more.

    KIND is recipes, models, datasets, trainers, optimizers, schedules, losses, augmentations, metrics, callbacks,
    exporters or commands; by default, all are listed. PATTERN is a name in which * matches any text and ? any single
    character; quote it. The exit status is 1 if nothing matches.

    \b
    Examples:
      zoo list recipes
      zoo list 'fashion-*'
    """
    kinds: tuple[str, ...] = tuple(KINDS)
    if kind is not None and (found_kind := kind_named(kind)):
        kinds = (found_kind.name,)
    elif kind is not None and pattern is None:
        pattern = kind  # `zoo list 'fashion-*'`
    elif kind is not None:
        known = [known.plural for known in TABLE]
        raise click.BadParameter(
            f"{kind!r} is not one of {', '.join(known)}.{text.suggest(kind, known)}", param_hint="KIND"
        )
    found = [found for kind in kinds for found in session.registry.catalogs[kind].find(pattern or "*")]
    if as_json:
        output.echo_json([row(registered) for registered in found])
    if pattern is not None and not found:
        raise _nothing_matches(pattern, kinds, session.registry)
    if as_json:
        return
    width = output.terminal_width()
    for block in _blocks(found, kinds):
        click.echo(
            "\n".join(line if width is None or len(line) <= width else line[: width - 1] + "…" for line in block)
        )


def row(registered: Registered[Any]) -> dict[str, Any]:
    """Return what both commands say of a registered object, for JSON."""
    return {
        "kind": registered.kind,
        "name": registered.name,
        "plugin": registered.plugin,
        "summary": registered.item.summary,
        "aliases": list(registered.item.aliases),
        "recorded": _recorded(registered),
    }


def _nothing_matches(pattern: str, kinds: tuple[str, ...], registry: Registry) -> UnknownNameError:
    what, names = kinds[0] if len(kinds) == 1 else "registered name", {*_names(kinds, registry)}
    several = [KINDS[kind].plural for kind in kinds] if len(kinds) > 1 else []  # the pattern may be a misspelled kind
    hint = text.suggest(pattern, sorted({*names, *several}))
    cure = f"`zoo list {KINDS[kinds[0]].plural}`" if len(kinds) == 1 else "`zoo list`"
    return UnknownNameError(f"No {what} matches {pattern!r}.{hint} Run {cure} to list them.")


def _names(kinds: tuple[str, ...], registry: Registry) -> list[str]:
    return [registered.name for kind in kinds for registered in registry.catalogs[kind]]


def _recorded(registered: Registered[Any]) -> dict[str, Any] | None:
    """Return the recorded results of a recipe, or None if it has none."""
    if registered.kind != "recipe":
        return None
    from zoo.recipes import pretrained

    try:
        return pretrained.recorded_metrics(registered)
    except ZooError as error:  # a damaged record must not hide the others
        warnings.warn(str(error), ZooWarning, stacklevel=2)
        return None


def _blocks(found: list[Registered[Any]], kinds: tuple[str, ...]) -> list[list[str]]:
    """Return the lines of a list: one block per kind, with columns aligned across blocks."""
    names = max((len(registered.name) for registered in found), default=0)
    plugins = max((len(registered.plugin) for registered in found), default=0)
    blocks = []
    for kind in kinds:
        rows = [registered for registered in found if registered.kind == kind]
        lines = [KINDS[kind].plural]
        for registered in rows:
            aliases = f" (also {', '.join(registered.item.aliases)})" if registered.item.aliases else ""
            lines.append(
                f"  {registered.name:<{names}}  {registered.plugin:<{plugins}}  {registered.item.summary}{aliases}"
            )
            if recorded := _recorded(registered):
                place = "" if recorded["weights"] else ", weights not included"
                lines.append(
                    f"  {'':<{names}}  {'':<{plugins}}  test accuracy {recorded['test_accuracy']:.4f}, "
                    f"{recorded['parameters']:,} parameters, trained in {text.duration(recorded['seconds'])}{place}"
                )
        if rows:
            blocks.append(lines)
    return blocks
