"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zoo.cli.completion import complete_names
from zoo.cli.context import Session
from zoo.errors import SettingError
from zoo.registry.kinds import KINDS

if TYPE_CHECKING:
    from zoo.registry.registry import Registry

Command = TypeVar("Command", bound=Callable[..., Any])


def _show_traceback(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Session).traceback |= value


class Folder(click.Path):
    """A folder to read or create: any text that is not empty."""

    name = "folder"

    def __init__(self) -> None:
        """Create a parameter type that returns a `Path`."""
        super().__init__(path_type=Path, readable=False)  # faults are reported where the folder is used

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if not str(value):
            self.fail("the path is empty. Pass the path of a folder.", param, ctx)
        return super().convert(value, param, ctx)


def _key_and_value(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    settings = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE. Write, for example, model.dropout=0.1.")
        if key.strip() in settings:
            raise click.BadParameter(f"{key.strip()!r} is given twice. Give each setting once.")
        settings[key.strip()] = value.strip()
    return settings


def _names(_: click.Context, __: click.Parameter, value: str | None) -> list[str] | None:
    """Return comma-separated names as a list, which is empty for ``none``; None if the option is not given."""
    if value is None or value == "none":
        return None if value is None else []
    return [name.strip() for name in value.split(",") if name.strip()]


traceback_option = click.option(
    "--traceback",
    is_flag=True,
    expose_value=False,
    callback=_show_traceback,
    help="Show the full traceback of an error.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
quiet_option = click.option("--quiet", is_flag=True, help="Hide progress.")
data_dir_option = click.option(
    "--data-dir",
    metavar="PATH",
    type=Folder(),
    help="Read the dataset from this folder or file.",
)
settings_option = click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    callback=_key_and_value,
    help="Change a setting, for example model.dropout=0.1; `zoo show RECIPE` lists them. May be repeated.",
)
track_option = click.option(
    "--track",
    metavar="NAME",
    multiple=True,
    shell_complete=complete_names("callback"),
    help="Report the run to this callback, such as tensorboard; it cannot stop the run. May be repeated.",
)


def _component(kind: str, what: str | None = None) -> Callable[[Command], Command]:
    """Return an option that replaces the recipe's only object of a kind."""
    return click.option(
        f"--{kind}",
        metavar="NAME",
        shell_complete=complete_names(kind),
        help=f"Use this {what or kind} instead of the recipe's.",
    )


def _components(option: str, kind: str, text: str) -> Callable[[Command], Command]:
    """Return an option that replaces the recipe's list of objects of a kind."""
    return click.option(
        option, KINDS[kind].choice, metavar="NAMES", callback=_names, shell_complete=complete_names(kind), help=text
    )


_COMPONENT_OPTIONS = (
    _component("model"),
    _component("dataset"),
    _component("trainer"),
    _component("optimizer"),
    _component("schedule", "learning rate schedule"),
    _component("loss"),
    _components(
        "--augment",
        "augmentation",
        "Apply these augmentations, in order, instead of the recipe's: shift,flip; none for no augmentation.",
    ),
    _components("--metric", "metric", "Compute these metrics besides loss and accuracy: macro-f1,top-5."),
    _components(
        "--callback",
        "callback",
        "Attach these callbacks instead of the recipe's: early-stopping; none for no callback.",
    ),
    click.option(
        "--monitor",
        metavar="METRIC",
        shell_complete=complete_names("metric"),
        help="Keep the epoch with the best value of this validation metric.  [default: the recipe's]",
    ),
)

_INIT_OPTIONS = (
    click.option(
        "--init",
        metavar="SOURCE",
        type=click.Path(),
        help="Start from these weights: a run folder, a recipe with trained weights, or a weights file (Keras, "
        "PyTorch, safetensors, ONNX). A head for another number of classes is new.",
    ),
    click.option(
        "--init-partial", is_flag=True, help="Take what fits of --init, even if more than the head is missing."
    ),
)

_RECIPE_OPTIONS = (
    click.option(
        "--epochs", type=click.IntRange(min=1), help="Passes over the training images.  [default: the recipe's]"
    ),
    click.option("--batch-size", type=click.IntRange(min=1), help="Images per weight update.  [default: the recipe's]"),
    click.option(
        "--seed",
        type=click.IntRange(min=0, max=2**32 - 1),
        help="Seed for all randomness in the run.  [default: the recipe's]",
    ),
    *_COMPONENT_OPTIONS,
    *_INIT_OPTIONS,
    data_dir_option,
    click.option(
        "--out",
        metavar="DIR",
        type=Folder(),
        help="Run folder. For a new run it must be empty, except for logs and hidden files.  "
        "[default: runs/RECIPE/TIME-ID]",
    ),
    click.option("--resume", is_flag=True, help="Resume the run in --out, or start it if there is none."),
    click.option(
        "--checkpoint-every",
        metavar="STEPS",
        type=click.IntRange(min=1),
        help="Also save a checkpoint every STEPS steps within an epoch.  [default: after each epoch only]",
    ),
    settings_option,
    track_option,
    click.option(
        "--skip-bad",
        is_flag=True,
        help="Skip and count unusable files. Sets dataset.skip_bad=true; the dataset must support it.",
    ),
    quiet_option,
    json_option,
    traceback_option,
)


def check_skip_bad(registry: Registry, recipe: str, dataset: str | None, earlier: Path | None) -> None:
    """Check that the dataset has the setting that ``--skip-bad`` sets.

    Args:
        registry: Registry to look up names in.
        recipe: Name of the recipe.
        dataset: Name of the dataset that replaces the recipe's.
        earlier: Folder of the run to resume. If it holds a run, the dataset of that run is checked.

    Raises:
        SettingError: The dataset has no such setting.
        UnknownNameError: The recipe or dataset is not registered.
    """
    from zoo.recipes import run_recipes
    from zoo.recipes.components import component_settings
    from zoo.runs.run_folder import is_run, open_run

    if earlier is not None and is_run(earlier):
        component = run_recipes.dataset_from_run(registry, open_run(earlier))
        title, has_it = component.title, "skip_bad" in component.settings
    else:
        found = registry.recipes.get(recipe)
        named = registry.datasets.get(dataset or found.item.dataset, prefer=None if dataset else found.plugin)
        title, has_it = f"dataset {named.qualified_name}", "dataset.skip_bad" in component_settings(named)
    if not has_it:
        raise SettingError(
            f"The {title} cannot skip bad files, because it has no setting skip_bad. Remove --skip-bad, or use a "
            "dataset that has it, such as image-folder. Received: --skip-bad"
        )


def recipe_options(command: Command) -> Command:
    """Add the options of ``zoo run`` and ``zoo train`` to a command."""
    return _with(_RECIPE_OPTIONS, command)


def component_options(command: Command) -> Command:
    """Add the options that choose what is trained: the components, ``--monitor`` and ``--init``."""
    return _with((*_COMPONENT_OPTIONS, *_INIT_OPTIONS), command)


def _with(options: Iterable[Callable[[Any], Any]], command: Command) -> Command:
    for option in reversed([*options]):
        command = option(command)
    return command
