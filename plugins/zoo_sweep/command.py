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
"""Options that define a sweep: they cannot be given when it is resumed."""


def _pairs(read: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], dict[str, Any]]:
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
        raise click.BadParameter(f"{text!r} is not a cluster address. Use HOST:PORT, `auto` or `local`.")
    return text


def _seeds(_: click.Context, __: click.Parameter, text: str | None) -> list[int] | None:
    try:
        return None if text is None else read_seeds(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


@click.command(short_help="Train many variants of a recipe and test the best.")
@click.argument("recipes", metavar="[RECIPE]...", nargs=-1, shell_complete=complete_names("recipe"))
@click.option(
    "--set",
    "settings",
    metavar="KEY=V1,V2",
    multiple=True,
    callback=_pairs(split_values),
    help="Train with each of these values of a setting. Put list values in brackets: [32,64],[16,32]. May "
    "be repeated; every combination is trained.",
)
@click.option(
    "--seeds",
    metavar="N",
    callback=_seeds,
    help="Number of seeds (5 for seeds 0 to 4), or a list of seeds (0,3,7; for seed 7 alone, 7,).  "
    "[default: the recipe's seed]",
)
@click.option(
    "--search",
    type=click.Choice(["optuna"]),
    help="Search with Optuna instead of training every combination. Needs keras-zoo[sweep].",
)
@click.option("--trials", metavar="N", type=click.IntRange(min=1, max=2_000), help="Number of trials in a search.")
@click.option(
    "--range",
    "ranges",
    metavar="KEY=LOW..HIGH[:log]",
    multiple=True,
    callback=_pairs(read_range),
    help="Search numbers from LOW to HIGH, both included; :log samples on a logarithmic scale. May be repeated.",
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
    help="Rule by which a search stops unpromising trials early.  [default: median]",
)
@click.option(
    "--choose-by",
    type=click.Choice(["loss", "accuracy"]),
    help="Validation metric to choose the best configuration by.  [default: the recipe's monitor]",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images.  [default: the recipe's]")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images per weight update.  [default: the recipe's]")
@click.option(
    "--model",
    metavar="NAME",
    shell_complete=complete_names("model"),
    help="Use this model instead of the recipe's.",
)
@click.option(
    "--dataset",
    metavar="NAME",
    shell_complete=complete_names("dataset"),
    help="Use this dataset instead of the recipe's.",
)
@click.option(
    "--trainer",
    metavar="NAME",
    shell_complete=complete_names("trainer"),
    help="Use this trainer instead of the recipe's.",
)
@click.option(
    "--data-dir",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Read the dataset from this folder or file.",
)
@click.option(
    "--checkpoint-every",
    metavar="STEPS",
    type=click.IntRange(min=1),
    help="Also save a checkpoint every STEPS steps within an epoch.  [default: after each epoch only]",
)
@click.option(
    "--track",
    metavar="NAME",
    multiple=True,
    shell_complete=complete_names("tracker"),
    help="Report each run to this tracker; `zoo list trackers` lists them. May be repeated.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Sweep folder. It must be empty, except for logs and hidden files.  [default: runs/sweep-TIME-ID]",
)
@click.option("--resume", metavar="DIR", type=click.Path(path_type=Path), help="Resume the sweep in this folder.")
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    help="Number of trials to run in parallel.  [default: 1; on a cluster, as many as fit]",
)
@click.option(
    "--retries",
    metavar="N",
    type=click.IntRange(min=0, max=100),
    default=2,
    show_default=True,
    help="How many times to restart a trial whose process was killed.",
)
@click.option(
    "--address",
    metavar="ADDRESS",
    callback=_address,
    help="Train on this Ray cluster: HOST:PORT, `auto`, or `local` to start one on this machine. Needs keras-zoo[ray].",
)
@click.option(
    "--trial-cpus",
    type=click.FloatRange(min=0),
    default=1,
    show_default=True,
    help="CPUs that each trial requests from the cluster.",
)
@click.option(
    "--trial-gpus",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    help="GPUs that each trial requests from the cluster.",
)
@quiet_option
@json_option
@click.pass_context
def sweep(ctx: click.Context, /, **options: Any) -> None:
    """Train many variants of a recipe and test the best.

    Each trial is a run in its own process and folder. The best configuration is the one with the best mean validation
    metric across its seeds; the test images are read for that one only. If a trial fails, the others continue and the
    exit status is 1.

    \b
    Examples:
      zoo sweep fashion-cnn-fast --set optimizer.learning_rate=3e-3,5e-3 --seeds 5
      zoo sweep fashion-cnn-fast --search optuna --trials 20 --range optimizer.learning_rate=1e-4..1e-2:log
      zoo sweep --resume runs/sweep-20261123-120000-ab12
    """
    if options["resume"] is not None:
        _check_resume(ctx, options)
    elif not options["recipes"]:
        raise click.UsageError("Missing argument 'RECIPE...'.")
    else:
        _check_kind(options)
    if options["address"] is None and (given := _given(ctx, ("trial_cpus", "trial_gpus"))):
        raise click.UsageError(f"Only trials on a cluster use {', '.join(given)}. Add --address.")
    from zoo_sweep import report
    from zoo_sweep.main import carry_out

    as_json, quiet = options.pop("as_json"), options.pop("quiet")
    with contextlib.redirect_stdout(sys.stderr):  # keep what a plugin prints out of our output
        store = carry_out(ctx.obj.registry, quiet=quiet, **options)
    if as_json:
        echo_json(report.describe(store))
    else:
        click.echo(report.table(store))
    if store.has_faults:
        ctx.exit(1)


def _check_resume(ctx: click.Context, options: dict[str, Any]) -> None:
    """Raise `RunFolderError` if there is no sweep to resume, `click.UsageError` if options would change it."""
    from zoo_sweep.store import SweepStore

    SweepStore.open(options["resume"])
    if given := _given(ctx, _DEFINING):
        raise click.UsageError(
            f"A resumed sweep keeps the options that it was started with. Remove {', '.join(given)}."
        )


def _given(ctx: click.Context, names: Collection[str]) -> list[str]:
    """Return the parameters that the user gave, as written on the command line."""
    return [
        "RECIPE" if isinstance(each, click.Argument) else each.opts[0]
        for each in ctx.command.params
        if each.name in names
        and ctx.get_parameter_source(each.name) is ParameterSource.COMMANDLINE
        and ctx.params[each.name] != ()  # no value for a repeatable parameter
    ]


def _check_kind(options: dict[str, Any]) -> None:
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
    if len(options["seeds"] or [0]) > 1:
        raise click.UsageError(
            "A search takes one seed. Search with one, then train the best configurations with --seeds."
        )
    if several := [name for name, values in options["settings"].items() if len(values) > 1]:
        values = ",".join(options["settings"][several[0]])
        raise click.UsageError(
            f"In a search, --set takes one value. To search values of {several[0]!r}, use --choose. "
            f"Received: {several[0]}={values!r}"
        )
    names = [*options["settings"], *options["ranges"], *options["choices"]]
    if twice := [name for name in names if names.count(name) > 1]:
        raise click.UsageError(f"{twice[0]!r} is given twice. Use only one of --set, --range and --choose.")
