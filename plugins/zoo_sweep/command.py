"""``zoo sweep``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from zoo.cli.toolkit import complete_names, component_options, echo_json, json_option, quiet_option, track_option
from zoo_sweep.options import address, check_resume, check_search, given, pairs, seeds, vary_components
from zoo_sweep.parsing import read_range, split_values


@click.command(short_help="Train many variants of a recipe and test the best.")
@click.argument("recipes", metavar="[RECIPE]...", nargs=-1, shell_complete=complete_names("recipe"))
@click.option(
    "--set",
    "settings",
    metavar="KEY=V1,V2",
    multiple=True,
    callback=pairs(split_values),
    help="Train with each of these values of a setting. Put list values in brackets: [32,64],[16,32]. May "
    "be repeated; every combination is trained.",
)
@click.option(
    "--seeds",
    metavar="N",
    callback=seeds,
    help="Number of seeds (5 for seeds 0 to 4), or a list of seeds (0,3,7; for seed 7 alone, 7,).  "
    "[default: the recipe's seed]",
)
@click.option(
    "--folds",
    metavar="K",
    type=click.IntRange(min=2, max=1_000),
    help="Cross-validate: divide the training images, and the dataset's own validation images, into K folds, and "
    "train each variant K times, each time validating on another fold.",
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
    callback=pairs(read_range),
    help="Search numbers from LOW to HIGH, both included; :log samples on a logarithmic scale. May be repeated.",
)
@click.option(
    "--choose",
    "choices",
    metavar="KEY=A,B",
    multiple=True,
    callback=pairs(split_values),
    help="Search among these values. May be repeated.",
)
@click.option(
    "--prune",
    type=click.Choice(["median", "halving", "none"]),
    help="Rule by which a search stops unpromising trials early.  [default: median]",
)
@click.option(
    "--choose-by",
    metavar="METRIC",
    shell_complete=complete_names("metric"),
    help="Validation metric to choose the best configuration by.  [default: the monitor of the trials]",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images.  [default: the recipe's]")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images per weight update.  [default: the recipe's]")
@component_options
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
@track_option
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
    callback=address,
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
    metric across its seeds and folds; the test images are read for that one only. If a trial fails, the others continue
    and the exit status is 1.

    With --folds, each image is predicted by the model that was not trained on it; the sweep folder has these
    predictions of the best configuration in out-of-fold.safetensors, from which `zoo data --predictions` finds labels
    that are probably wrong.

    --model, --dataset, --trainer, --optimizer, --schedule and --loss take several names, separated by commas, and the
    sweep trains with each. In --set and --choose they are keys like the settings, as are augmentations, metrics and
    callbacks.

    \b
    Examples:
      zoo sweep fashion-cnn-fast --set optimizer.learning_rate=3e-3,5e-3 --seeds 5
      zoo sweep fashion-cnn --optimizer adamw,lion --set augmentations=none,[shift,flip] --monitor macro-f1
      zoo sweep fashion-cnn-fast --search optuna --trials 20 --range optimizer.learning_rate=1e-4..1e-2:log
      zoo sweep resnet-20 --dataset image-folder --data-dir photos --folds 5
      zoo sweep --resume runs/sweep-20261123-120000-ab12
    """
    if options["resume"] is not None:
        check_resume(ctx, options)
    elif not options["recipes"]:
        raise click.UsageError("Missing argument 'RECIPE...'.")
    else:
        vary_components(options)
        check_search(options)
    if options["address"] is None and (names := given(ctx, ("trial_cpus", "trial_gpus"))):
        raise click.UsageError(f"Only trials on a cluster use {', '.join(names)}. Add --address.")
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
