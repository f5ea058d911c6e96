"""``zoo show``."""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import output
from zoo.cli.completion import complete_anything
from zoo.cli.listing import row
from zoo.cli.options import json_option, traceback_option
from zoo.errors import UnknownNameError, ZooError
from zoo.registry.kinds import COMPONENTS, KINDS
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


def _everything_named(registry: Registry, name: str) -> list[Registered[Any]]:
    found = []
    for kind in KINDS:
        try:
            found.append(registry.catalogs[kind].get(name))
        except UnknownNameError:
            continue
    if not found:
        known = sorted({registered.name for catalog in registry.catalogs.values() for registered in catalog})
        raise UnknownNameError(
            f"Nothing is named {name!r}.{text.suggest(name, known)} Run `zoo list` to see all names."
        )
    return found


def _describe(
    registry: Registry, registered: Registered[Any], input_shape: tuple[int, int, int], classes: int
) -> dict[str, Any]:
    from zoo.recipes import resolution
    from zoo.recipes.components import component_settings, setting_descriptions
    from zoo.recipes.settings import REQUIRED

    plugin = registry.plugins.get(registered.plugin)
    described = {**row(registered), "version": plugin.version if plugin else output.own_version()}
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
    space, width = " " * indent, output.terminal_width()
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
