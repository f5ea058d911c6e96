"""``zoo sweep``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zoo.cli.toolkit import complete_names, echo_json, json_option, quiet_option
from zoo_sweep.parsing import read_range, read_seeds, split_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_DEFINING = (
    "recipes", "settings", "seeds", "search", "trials", "ranges", "choices", "prune", "choose_by", "dataset", "model",
    "trainer", "epochs", "batch_size", "checkpoint_every", "track", "out",
)  # fmt: skip
"""What a sweep is started with, and goes on with."""


def _pairs(read: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], dict[str, Any]]:
    """Return a callback that reads ``KEY=TEXT``, several times."""

    def callback(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for text in values:
            key, equals, value = (part.strip() for part in text.partition("="))
            if not key or not equals:
                raise click.BadParameter(f"{text!r} is not KEY=VALUE.")
            if key in found:
                raise click.BadParameter(f"{key!r} is given twice. Received: {key}={value!r}")
            if key == "seed":
                raise click.BadParameter(f"seeds are given with --seeds. Received: seed={value!r}")
            try:
                found[key] = read(value)
            except ValueError as error:
                raise click.BadParameter(f"{error}. Received: {key}={value!r}") from error
        return found

    return callback


def _address(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is None:
        return None
    from zoo_sweep.engines import is_address

    if not is_address(text):
        raise click.BadParameter(f"{text!r} is not HOST:PORT, `auto` or `local`.")
    return text


def _seeds(_: click.Context, __: click.Parameter, text: str | None) -> list[int] | None:
    try:
        return None if text is None else read_seeds(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


@click.command(short_help="Train many variants, and test the best.")
@click.argument("recipes", metavar="[RECIPE]...", nargs=-1, shell_complete=complete_names("recipe"))
@click.option(
    "--set",
    "settings",
    metavar="KEY=V1,V2",
    multiple=True,
    callback=_pairs(split_values),
    help="Try these values of a setting; a value that is itself a list stands in brackets, [32,64],[16,32]. May be "
    "repeated: every combination is tried.",
)
@click.option("--seeds", metavar="N", callback=_seeds, help="How many seeds, 5, or which: 0,3,7. One alone: 7,")
@click.option("--search", type=click.Choice(["optuna"]), help="Search instead of trying every combination.")
@click.option("--trials", metavar="N", type=click.IntRange(min=1, max=2_000), help="How many trials a search has.")
@click.option(
    "--range",
    "ranges",
    metavar="KEY=LOW..HIGH[:log]",
    multiple=True,
    callback=_pairs(read_range),
    help="Search a number between two ends, which belong to it. May be repeated.",
)
@click.option(
    "--choose",
    "choices",
    metavar="KEY=A,B",
    multiple=True,
    callback=_pairs(split_values),
    help="Search among these values. May be repeated.",
)
@click.option(
    "--prune",
    type=click.Choice(["median", "halving", "none"]),
    help="How a search stops hopeless trials.  [default: median]",
)
@click.option(
    "--choose-by",
    type=click.Choice(["loss", "accuracy"]),
    help="Validation metric that the best is chosen by.  [default: the recipe's monitor]",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images per weight update.")
@click.option("--model", metavar="NAME", shell_complete=complete_names("model"), help="Another model.")
@click.option("--dataset", metavar="NAME", shell_complete=complete_names("dataset"), help="Another data set.")
@click.option("--trainer", metavar="NAME", shell_complete=complete_names("trainer"), help="Another trainer.")
@click.option("--data-dir", metavar="PATH", type=click.Path(path_type=Path), help="Read the data set from here.")
@click.option("--checkpoint-every", metavar="STEPS", type=click.IntRange(min=1), help="As for `zoo run`.")
@click.option(
    "--track", metavar="NAME", multiple=True, shell_complete=complete_names("tracker"), help="As for `zoo run`."
)
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="The folder.  [default: runs/sweep-TIME-ID]"
)
@click.option("--resume", metavar="DIR", type=click.Path(path_type=Path), help="Go on with the sweep in this folder.")
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    help="Trials at a time.  [default: 1; on a cluster as many as it has room for]",
)
@click.option(
    "--retries",
    metavar="N",
    type=click.IntRange(min=0, max=100),
    default=2,
    show_default=True,
    help="How often a trial goes on after its process was killed.",
)
@click.option(
    "--address",
    metavar="ADDRESS",
    callback=_address,
    help="Train on this Ray cluster; `local` starts one here. Extra [ray].",
)
@click.option("--trial-cpus", type=click.FloatRange(min=0), default=1, show_default=True, help="Of a cluster, a trial.")
@click.option("--trial-gpus", type=click.FloatRange(min=0), default=0, show_default=True, help="Of a cluster, a trial.")
@quiet_option
@json_option
@click.pass_context
def sweep(ctx: click.Context, /, **options: Any) -> None:
    """Train many variants of recipes, choose the best by validation, and test that one.

    \b
    zoo sweep fashion-cnn-fast --set trainer.learning_rate=3e-3,5e-3 --seeds 5
    zoo sweep fashion-cnn-fast --search optuna --trials 20 --range trainer.learning_rate=1e-4..1e-2:log
    zoo sweep --resume runs/sweep-20261123-120000-ab12

    Each trial is a run in a process of its own, with a folder of its own. The best configuration is the one with the
    best mean over its seeds; the test images are read for it alone. Exits with 1 if a trial failed, after the others.
    """  # noqa: D301  # click wants the control character
    if options["resume"] is not None:
        _check_resume(ctx, options)
    elif not options["recipes"]:
        raise click.UsageError("Missing argument 'RECIPE...'.")
    else:
        _check_kind(options)
    if options["address"] is None and (given := _given(ctx, ("trial_cpus", "trial_gpus"))):
        raise click.UsageError(f"{', '.join(given)}: for trials on a cluster only, --address.")
    from zoo_sweep import report
    from zoo_sweep.main import carry_out

    as_json, quiet = options.pop("as_json"), options.pop("quiet")
    with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints is not our output
        store = carry_out(ctx.obj.registry, quiet=quiet, **options)
    if as_json:
        echo_json(report.describe(store))
    else:
        click.echo(report.table(store))
    if store.has_faults:
        ctx.exit(1)


def _check_resume(ctx: click.Context, options: dict[str, Any]) -> None:
    """Raise `RunFolderError` if there is no sweep to resume, `click.UsageError` if more is asked of it."""
    from zoo_sweep.store import SweepStore

    SweepStore.open(options["resume"])
    if given := _given(ctx, _DEFINING):
        raise click.UsageError(
            f"A sweep goes on with what it was started with: give --resume without {', '.join(given)}."
        )


def _given(ctx: click.Context, names: Collection[str]) -> list[str]:
    """Return those parameters that the user gave, as they are written."""
    return [
        "RECIPE" if isinstance(each, click.Argument) else each.opts[0]
        for each in ctx.command.params
        if each.name in names
        and ctx.get_parameter_source(each.name) is ParameterSource.COMMANDLINE
        and ctx.params[each.name] != ()  # of those that may be repeated
    ]


def _check_kind(options: dict[str, Any]) -> None:
    """Raise `click.UsageError` if options of a search are given without one, or those of a grid with one."""
    searching = [name for name in ("trials", "ranges", "choices", "prune") if options[name]]
    if options["search"] is None:
        if searching:
            raise click.UsageError("--trials, --range, --choose and --prune need --search optuna.")
        return
    if not options["trials"]:
        raise click.UsageError("A search needs --trials: how many?")
    if not options["ranges"] and not options["choices"]:
        raise click.UsageError("A search needs --range or --choose: among what?")
    if len(options["recipes"]) > 1:
        raise click.UsageError("A search is of one recipe.")
    if len(options["seeds"] or [0]) > 1:
        raise click.UsageError("A search has one seed: try the best of it with --seeds afterwards.")
    if several := [name for name, values in options["settings"].items() if len(values) > 1]:
        values = ",".join(options["settings"][several[0]])
        raise click.UsageError(
            f"In a search --set takes one value: give those of {several[0]!r} with --choose. "
            f"Received: {several[0]}={values!r}"
        )
    names = [*options["settings"], *options["ranges"], *options["choices"]]
    if twice := [name for name in names if names.count(name) > 1]:
        raise click.UsageError(f"{twice[0]!r} is given twice.")
