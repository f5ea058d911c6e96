"""What the options of ``zoo sweep`` take, and which of them go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zoo_sweep.parsing import read_seeds, split_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_DEFINING = (
    "recipes", "settings", "seeds", "folds", "search", "trials", "ranges", "choices", "prune", "choose_by", "dataset",
    "model", "trainer", "optimizer", "schedule", "loss", "augmentations", "metrics", "callbacks", "monitor", "epochs",
    "batch_size", "checkpoint_every", "track", "out",
)  # fmt: skip
"""Options that define a sweep: they cannot be given when it is resumed."""

_VARIED = ("dataset", "model", "trainer", "optimizer", "schedule", "loss")
"""Options that take several names, with each of which the sweep trains."""


def pairs(read: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], dict[str, Any]]:
    """Return a callback for an option that takes ``KEY=TEXT`` and may be repeated."""

    def callback(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for text in values:
            key, equals, value = (part.strip() for part in text.partition("="))
            if not key or not equals:
                raise click.BadParameter(f"{text!r} is not KEY=VALUE. Give the name of a setting, '=' and its values.")
            if key in found:
                raise click.BadParameter(f"{key!r} is given twice. Give each setting once. Received: {key}={value!r}")
            if key == "seed":
                raise click.BadParameter(f"seeds have their own option. Use --seeds. Received: seed={value!r}")
            if key == "fold":
                raise click.BadParameter(f"folds have their own option. Use --folds. Received: fold={value!r}")
            try:
                found[key] = read(value)
            except ValueError as error:
                raise click.BadParameter(f"{error}. Received: {key}={value!r}") from error
        return found

    return callback


def address(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """Check the address of a cluster."""
    if text is None:
        return None
    from zoo_sweep.engines import is_address

    if not is_address(text):
        raise click.BadParameter(f"{text!r} is not a cluster address. Use HOST:PORT, `auto` or `local`.")
    return text


def seeds(_: click.Context, __: click.Parameter, text: str | None) -> list[int] | None:
    """Return the seeds."""
    try:
        return None if text is None else read_seeds(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


def check_resume(ctx: click.Context, options: dict[str, Any]) -> None:
    """Raise `RunFolderError` if there is no sweep to resume, `click.UsageError` if options would change it."""
    from zoo_sweep.store import SweepStore

    SweepStore.open(options["resume"])
    if names := given(ctx, _DEFINING):
        raise click.UsageError(
            f"A resumed sweep keeps the options that it was started with. Remove {', '.join(names)}."
        )


def given(ctx: click.Context, names: Collection[str]) -> list[str]:
    """Return the parameters that the user gave, as written on the command line."""
    return [
        "RECIPE" if isinstance(each, click.Argument) else each.opts[0]
        for each in ctx.command.params
        if each.name in names
        and ctx.get_parameter_source(each.name) is ParameterSource.COMMANDLINE
        and ctx.params[each.name] != ()  # no value for a repeatable parameter
    ]


def vary_components(options: dict[str, Any]) -> None:
    """Move options with several names, such as ``--optimizer sgd,adam``, to the settings that vary."""
    for name in _VARIED:
        if options[name] is None or "," not in options[name]:
            continue
        hint = f"'--{name}'"
        if name in options["settings"]:
            raise click.BadParameter(
                f"it is also given with --set. Give it once. Received: {name}={options[name]!r}", param_hint=hint
            )
        try:
            options["settings"] = {**options["settings"], name: split_values(options[name])}
        except ValueError as error:
            raise click.BadParameter(f"{error}. Received: {name}={options[name]!r}", param_hint=hint) from error
        options[name] = None


def check_search(options: dict[str, Any]) -> None:
    """Raise `click.UsageError` if search options are given without --search, or options that a search cannot take."""
    searching = [name for name in ("trials", "ranges", "choices", "prune") if options[name]]
    if options["search"] is None:
        if searching:
            raise click.UsageError("--trials, --range, --choose and --prune are for a search. Add --search optuna.")
        return
    if not options["trials"]:
        raise click.UsageError("A search needs --trials. Pass the number of trials.")
    if not options["ranges"] and not options["choices"]:
        raise click.UsageError("A search needs --range or --choose. Pass at least one setting to search.")
    if len(options["recipes"]) > 1:
        raise click.UsageError("A search takes one recipe. Pass a single RECIPE.")
    if options["folds"]:
        raise click.UsageError("A search takes no folds. Search first, then cross-validate the best configurations.")
    if len(options["seeds"] or [0]) > 1:
        raise click.UsageError(
            "A search takes one seed. Search with one, then train the best configurations with --seeds."
        )
    if several := [name for name, values in options["settings"].items() if len(values) > 1]:
        values = ",".join(options["settings"][several[0]])
        option = f"--{several[0]}" if several[0] in _VARIED else "--set"
        raise click.UsageError(
            f"In a search, {option} takes one value. To search values of {several[0]!r}, use --choose. "
            f"Received: {several[0]}={values!r}"
        )
    names = [*options["settings"], *options["ranges"], *options["choices"]]
    if twice := [name for name in names if names.count(name) > 1]:
        raise click.UsageError(f"{twice[0]!r} is given twice. Use only one of --set, --range and --choose.")
