"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zoo.cli.completion import complete_names
from zoo.cli.context import Session
from zoo.errors import SettingError

if TYPE_CHECKING:
    from zoo.registry.registry import Registry

Command = TypeVar("Command", bound=Callable[..., Any])


def _show_traceback(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Session).traceback |= value


class Folder(click.Path):
    """A folder to read or to make: any text but none."""

    name = "folder"

    def __init__(self) -> None:
        """Make a type that gives a `Path`."""
        super().__init__(path_type=Path, readable=False)  # what is wrong with one is told where it is used

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if not str(value):
            self.fail("it has no name.", param, ctx)
        return super().convert(value, param, ctx)


def _key_and_value(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    settings = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE.")
        if key.strip() in settings:
            raise click.BadParameter(f"{key.strip()!r} is given twice.")
        settings[key.strip()] = value.strip()
    return settings


traceback_option = click.option(
    "--traceback",
    is_flag=True,
    expose_value=False,
    callback=_show_traceback,
    help="Show the traceback of an error.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
quiet_option = click.option("--quiet", is_flag=True, help="No progress.")
data_dir_option = click.option(
    "--data-dir",
    metavar="PATH",
    type=Folder(),
    help="Read the data set from this folder, or this file.",
)
track_option = click.option(
    "--track",
    metavar="NAME",
    multiple=True,
    shell_complete=complete_names("tracker"),
    help="Tell a tracker of the run: `zoo list trackers`. May be repeated.",
)

_RECIPE_OPTIONS = (
    click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images."),
    click.option("--batch-size", type=click.IntRange(min=1), help="Images per weight update."),
    click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), help="Seed of all that is random."),
    click.option("--model", metavar="NAME", shell_complete=complete_names("model"), help="Another model."),
    click.option("--dataset", metavar="NAME", shell_complete=complete_names("dataset"), help="Another data set."),
    click.option("--trainer", metavar="NAME", shell_complete=complete_names("trainer"), help="Another trainer."),
    data_dir_option,
    click.option(
        "--out",
        metavar="DIR",
        type=Folder(),
        help="The run folder; a new one is empty, but for logs and hidden files.  [default: runs/RECIPE/TIME-ID]",
    ),
    click.option("--resume", is_flag=True, help="Go on with the run in --out, if there is one that was stopped."),
    click.option(
        "--checkpoint-every",
        metavar="STEPS",
        type=click.IntRange(min=1),
        help="Commit a checkpoint after so many steps too.  [default: after each epoch]",
    ),
    click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        callback=_key_and_value,
        help="Change a setting: model.dropout=0.1. `zoo show RECIPE` lists them. May be repeated.",
    ),
    track_option,
    click.option(
        "--skip-bad",
        is_flag=True,
        help="Leave out files that cannot be read, and count them: dataset.skip_bad=true, for data sets that have it.",
    ),
    quiet_option,
    json_option,
    traceback_option,
)


def check_skip_bad(registry: Registry, recipe: str, dataset: str | None, earlier: Path | None) -> None:
    """Check that the data set has the setting that ``--skip-bad`` stands for.

    Args:
        registry: Where names are looked up.
        recipe: Name of the recipe.
        dataset: Name of the data set that takes the place of the recipe's.
        earlier: Folder of the run that goes on, if there is one yet: its data set is what counts.

    Raises:
        SettingError: It has not.
        UnknownNameError: There is no such recipe or data set.
    """
    from zoo.recipes import resolution
    from zoo.recipes.components import component_settings
    from zoo.runs.run_folder import is_run, open_run

    if earlier is not None and is_run(earlier):
        component = resolution.dataset_from_run(registry, open_run(earlier))
        title, has_it = component.title, "skip_bad" in component.settings
    else:
        found = registry.recipes.get(recipe)
        named = registry.datasets.get(dataset or found.item.dataset, prefer=None if dataset else found.plugin)
        title, has_it = f"dataset {named.qualified_name}", "dataset.skip_bad" in component_settings(named)
    if not has_it:
        raise SettingError(
            f"The {title} cannot leave out what is bad: --skip-bad is for data sets with a setting skip_bad, "
            "image-folder for one. Leave the option out. Received: --skip-bad"
        )


def recipe_options(command: Command) -> Command:
    """Add the options of ``run`` and ``train``."""
    for option in reversed(_RECIPE_OPTIONS):
        command = option(command)
    return command
