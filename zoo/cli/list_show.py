"""``zoo list`` and ``zoo show``."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import output
from zoo.cli.completion import complete_anything, complete_kinds
from zoo.cli.options import json_option, traceback_option
from zoo.errors import UnknownNameError, ZooError, ZooWarning
from zoo.registry.kinds import COMPONENTS, KINDS, TABLE, kind_named
from zoo.utils import text
from zoo.utils.keras_import import import_keras, silence_native_stderr

if TYPE_CHECKING:
    from zoo.cli.context import Session
    from zoo.recipes.components import Component
    from zoo.registry.catalog import Registered
    from zoo.registry.registry import Registry

_HAS_RATES = ("recipe", "schedule")
_WIDEST = 120  # of descriptions in a terminal
_DEFAULT_SIZE = ((28, 28, 1), 10)  # input shape and classes that `Entry.parameters` refers to


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
        from zoo.utils.text import suggest

        known = [known.plural for known in TABLE]
        raise click.BadParameter(f"{kind!r} is not one of {', '.join(known)}.{suggest(kind, known)}", param_hint="KIND")
    found = [found for kind in kinds for found in session.registry.catalogs[kind].find(pattern or "*")]
    if as_json:
        output.echo_json([_row(registered) for registered in found])
    if pattern is not None and not found:
        raise _nothing_matches(pattern, kinds, session.registry)
    if as_json:
        return
    width = _terminal_width()
    for block in _blocks(found, kinds):
        click.echo(
            "\n".join(line if width is None or len(line) <= width else line[: width - 1] + "…" for line in block)
        )


@click.command(short_help="Show the settings of a registered object.")
@click.argument("name", shell_complete=complete_anything)
@click.option(
    "--input-shape",
    metavar="H,W,C",
    default="28,28,1",
    show_default=True,
    help="For a model: the input shape for which parameters are counted.",
)
@click.option(
    "--classes",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="For a model: the number of classes for which parameters are counted.",
)
@click.option("--rates", is_flag=True, help="For a recipe or schedule: draw the learning rate. Takes seconds.")
@json_option
@traceback_option
@click.pass_obj
def show(session: Session, name: str, input_shape: str, classes: int, rates: bool, as_json: bool) -> None:
    """Show the settings of a recipe, model or any other registered object.

    Prints the plugin and its version, all settings with their defaults and descriptions and, for a model, the number
    of parameters. If a name belongs to more than one kind of object, all of them are shown.

    \b
    Examples:
      zoo show fashion-cnn
      zoo show fashion/fashion-cnn --input-shape 32,32,3 --classes 100
      zoo show fashion-cnn-fast --rates
    """
    sizes = input_shape.replace("x", ",").split(",")
    if len(sizes) != 3 or not all(size.isdigit() and int(size) > 0 for size in sizes):
        raise click.BadParameter(
            f"{input_shape!r} is not H,W,C: give three positive integers, such as 28,28,1.",
            param_hint="'--input-shape'",
        )
    height, width, channels = map(int, sizes)
    found = _everything_named(session.registry, name)
    if rates and not any(registered.kind in _HAS_RATES for registered in found):
        kinds = ", ".join(registered.kind for registered in found)
        raise click.UsageError(
            f"--rates is for a recipe or schedule. Leave it out, or name one of them. Received: NAME={name!r} ({kinds})"
        )
    with silence_native_stderr(), contextlib.redirect_stdout(sys.stderr):  # a plugin may import Keras at module level
        described = [_describe(session.registry, each, (height, width, channels), classes) for each in found]
        if rates:
            import_keras()
            for about, registered in zip(described, found, strict=True):
                about |= _rates(session.registry, registered)
    if as_json:
        output.echo_json(described)
    else:
        click.echo("\n\n".join(_as_text(each) for each in described))


def _terminal_width() -> int | None:
    """Return the columns of the terminal that is standard output, or None without one."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def _nothing_matches(pattern: str, kinds: tuple[str, ...], registry: Registry) -> UnknownNameError:
    from zoo.utils.text import suggest

    what, names = kinds[0] if len(kinds) == 1 else "registered name", {*_names(kinds, registry)}
    several = [KINDS[kind].plural for kind in kinds] if len(kinds) > 1 else []  # the pattern may be a misspelled kind
    hint = suggest(pattern, sorted({*names, *several}))
    cure = f"`zoo list {KINDS[kinds[0]].plural}`" if len(kinds) == 1 else "`zoo list`"
    return UnknownNameError(f"No {what} matches {pattern!r}.{hint} Run {cure} to list them.")


def _names(kinds: tuple[str, ...], registry: Registry) -> list[str]:
    return [registered.name for kind in kinds for registered in registry.catalogs[kind]]


def _row(registered: Registered[Any]) -> dict[str, Any]:
    return {
        "kind": registered.kind,
        "name": registered.name,
        "plugin": registered.plugin,
        "summary": registered.item.summary,
        "aliases": list(registered.item.aliases),
        "recorded": _recorded(registered),
    }


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


def _everything_named(registry: Registry, name: str) -> list[Registered[Any]]:
    found = []
    for kind in KINDS:
        try:
            found.append(registry.catalogs[kind].get(name))
        except UnknownNameError:
            continue
    if not found:
        from zoo.utils.text import suggest

        known = sorted({registered.name for catalog in registry.catalogs.values() for registered in catalog})
        raise UnknownNameError(f"Nothing is named {name!r}.{suggest(name, known)} Run `zoo list` to see all names.")
    return found


def _describe(
    registry: Registry, registered: Registered[Any], input_shape: tuple[int, int, int], classes: int
) -> dict[str, Any]:
    from zoo.recipes import resolution
    from zoo.recipes.components import component_settings, setting_descriptions
    from zoo.recipes.settings import REQUIRED

    plugin = registry.plugins.get(registered.plugin)
    described = {**_row(registered), "version": plugin.version if plugin else output.own_version()}
    if registered.kind == "recipe":
        resolved = resolution.resolve(registry, registered.qualified_name, {})
        described |= {**resolved.choices(), "settings": resolved.settings(), "description": resolved.descriptions()}
        described |= _auto_precision(resolved.trainer)
    elif registered.kind in COMPONENTS:
        specs = component_settings(registered)
        described["settings"] = {name: spec.default for name, spec in specs.items() if spec.default is not REQUIRED}
        described["required"] = [name for name, spec in specs.items() if spec.default is REQUIRED]
        described["types"] = {name: spec.type_name for name, spec in specs.items()}
        described["takes"] = {name: spec.words for name, spec in specs.items()}
        described["description"] = setting_descriptions(registered)
    if registered.kind == "model":
        described |= {
            "input_shape": list(input_shape),
            "classes": classes,
            **_parameters(registered, input_shape, classes),
        }
    return described


def _auto_precision(trainer: Component) -> dict[str, str | None]:
    """Return the precision that ``auto`` selects on this CPU, and why; None for a trainer with a fixed one."""
    from zoo.models.build import AUTO
    from zoo.training.trainer import make_trainer
    from zoo.utils import hardware

    try:
        policy = make_trainer(trainer).dtype_policy
    except ZooError:  # a broken trainer can still be shown
        policy = None
    if policy != AUTO:
        return {"auto_precision": None}
    why_slow = hardware.why_bfloat16_is_slow(os.environ.get("KERAS_BACKEND", "tensorflow"))
    if why_slow is None:
        return {"auto_precision": "mixed_bfloat16"}
    return {"auto_precision": "float32", "why_float32": why_slow}


def _rates(registry: Registry, registered: Registered[Any]) -> dict[str, list[float]]:
    from zoo.cli.rates import rates_of_recipe, rates_of_schedule
    from zoo.recipes import resolution

    if registered.kind == "recipe":
        return {"rates": rates_of_recipe(resolution.resolve(registry, registered.qualified_name, {}))}
    return {"rates": rates_of_schedule(registered)} if registered.kind == "schedule" else {}


def _parameters(registered: Registered[Any], input_shape: tuple[int, int, int], classes: int) -> dict[str, Any]:
    from zoo.models.build import build_model
    from zoo.recipes.components import default_component

    if registered.item.parameters is not None and (input_shape, classes) == _DEFAULT_SIZE:
        return {"parameters": registered.item.parameters}
    import_keras()
    try:
        model = build_model(default_component(registered), input_shape, classes)
    except ZooError as error:
        return {"parameters": None, "fault": str(error)}
    return {"parameters": int(model.count_params())}


def _as_text(described: dict[str, Any]) -> str:
    rows = [
        (described["kind"], described["name"]),
        ("", described["summary"]),
        ("plugin", f"{described['plugin']} {described['version']}"),
    ]
    if described["aliases"]:
        rows.append(("aliases", ", ".join(described["aliases"])))
    rows += [
        (kind.choice, described[kind.choice].replace(",", ", "))
        for kind in COMPONENTS.values()
        if kind.choice in described
    ]
    if auto := described.get("auto_precision"):
        why = described.get("why_float32", "fast bfloat16")
        rows.append(("precision", f"auto: {auto} on this CPU ({why}); on a GPU, it depends on the GPU"))
    if "parameters" in described:
        shape = "x".join(map(str, described["input_shape"]))
        count = "unknown" if described["parameters"] is None else f"{described['parameters']:,}"
        rows.append(("parameters", f"{count} for {shape} images and {described['classes']} classes"))
        if described["parameters"] is None:
            rows.append(("", described["fault"]))
    if "rates" in described:
        from zoo.cli.rates import as_bars

        rates = described["rates"]
        rows.append(("rates", as_bars(rates) if rates else "none: the trainer uses no schedule"))
    from zoo.recipes.settings import setting_text

    takes = described.get("takes", {})
    settings = {name: f"{name}, required" for name in described.get("required", [])}
    settings |= {name: f"{name} = {setting_text(value)}" for name, value in described.get("settings", {}).items()}
    for index, (name, setting) in enumerate(settings.items()):
        words = takes.get(name)
        rows.append(("settings" if index == 0 else "", setting + (f"  ({words})" if words else "")))
    lines = output.table(rows).split("\n")  # one a row
    indent = max(len(row[0]) for row in rows) + 4  # two more than the settings
    for at, name in enumerate(settings, len(rows) - len(settings)):
        if description := described.get("description", {}).get(name):
            lines[at] += "\n" + _indented(text.printable(description), indent)
    return "\n".join(lines)


def _indented(words: str, indent: int) -> str:
    """Return a description indented and, in a terminal, wrapped."""
    space, width = " " * indent, _terminal_width()
    if width is None:
        return space + words
    return textwrap.fill(
        words,
        max(min(width, _WIDEST), indent + 20),
        initial_indent=space,
        subsequent_indent=space,
        break_long_words=False,
        break_on_hyphens=False,
    )
