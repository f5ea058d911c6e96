"""``zoo record`` and ``zoo reproduce``: record a recipe's results, and check whether they can be reproduced."""

from __future__ import annotations

import contextlib
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.completion import complete_names
from zoo.cli.options import Folder, data_dir_option, json_option, quiet_option, traceback_option
from zoo.utils.keras_import import import_keras, silence_native_stderr

if TYPE_CHECKING:
    from zoo.cli.context import Session
    from zoo.pipeline.reproduction import Reproduction
    from zoo.runs.records import RecipeResults


@click.command(short_help="Record a recipe's results across multiple seeds.")
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=Folder())
@click.option(
    "--out",
    metavar="FILE.json",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON file to write; an existing file is replaced.",
)
@quiet_option
@traceback_option
@click.pass_obj
def record(session: Session, folders: tuple[Path, ...], out: Path, quiet: bool) -> None:
    """Record a recipe's results across multiple seeds.

    Each RUN is the folder of a tested run. The runs may differ only in the seed. To let `zoo reproduce RECIPE` check
    the results, set the recipe's `results` to this file.

    \b
    Example:
      zoo record runs/seed-0 runs/seed-1 runs/seed-2 --out results.json
    """
    from zoo.cli import output
    from zoo.cli.progress import show_progress
    from zoo.pipeline import results
    from zoo.runs.run_folder import open_run

    found = [open_run(folder) for folder in folders]
    with show_progress(quiet) as progress, contextlib.redirect_stdout(sys.stderr):
        progress.stage("building the model")
        import_keras()
        recorded = results.record_results(found, session.registry)
        results.write_results(out, recorded)
    work = "unknown" if recorded.multiply_adds is None else f"{recorded.multiply_adds:,}"
    rows = [
        ("recipe", recorded.recipe.name),
        ("test", _summary(recorded)),
        ("parameters", f"{recorded.parameters:,}"),
        ("multiply-adds", f"{work} per image"),
        ("saved to", str(out)),
    ]
    click.echo(output.table(rows))


@click.command(short_help="Train a recipe again and check its recorded results.")
@click.argument("recipe", shell_complete=complete_names("recipe"))
@click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**32 - 1),
    help="Seed to train with.  [default: the recipe's seed if recorded, else the first recorded seed]",
)
@click.option(
    "--out",
    metavar="DIR",
    type=Folder(),
    help="Run folder. It must be empty, except for logs and hidden files.  [default: runs/RECIPE/TIME-ID]",
)
@data_dir_option
@quiet_option
@json_option
@traceback_option
@click.pass_context
def reproduce(
    ctx: click.Context,
    recipe: str,
    seed: int | None,
    out: Path | None,
    data_dir: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a recipe again and check its recorded results.

    The results are reproduced exactly if the weights and test metrics are bit-identical, as they are on the same CPU
    with the same versions. They also count as reproduced if the test accuracy is in the range expected for another
    seed: the 95 % prediction interval computed from the recorded seeds. Otherwise, the exit status is 1.

    \b
    Example:
      zoo reproduce fashion-cnn-fast
    """
    from zoo.cli import output
    from zoo.cli.progress import show_progress
    from zoo.pipeline.reproduction import compare_with_recorded, prepare_reproduction
    from zoo.utils import allocator

    # report a wrong call before the slow import of Keras, and silence a model that imports it at module level
    with silence_native_stderr(), contextlib.redirect_stdout(sys.stderr):
        config, recorded = prepare_reproduction(recipe, ctx.obj.registry, seed=seed, out=out, data_dir=data_dir)
    with show_progress(quiet) as progress, contextlib.redirect_stdout(sys.stderr):
        progress.stage("loading Keras")
        allocator.keep_freed_memory()  # before the backend is imported
        import_keras()
        done = compare_with_recorded(config.run(progress), recorded)
    if as_json:
        output.echo_json(_describe(done))
    else:
        click.echo(_as_text(done))
    if not done.is_reproduced:
        ctx.exit(1)


def _summary(recorded: RecipeResults) -> str:
    accuracies = [each.test.accuracy for each in recorded.seeds]
    if len(accuracies) == 1:
        return f"accuracy {accuracies[0]:.4f}, one seed"
    mean, deviation = statistics.fmean(accuracies), statistics.stdev(accuracies)
    return f"accuracy {mean:.4f} ± {deviation:.4f}, {len(accuracies)} seeds"


def _as_text(done: Reproduction) -> str:
    from zoo.cli import output

    record = done.run.record
    rows = [("recipe", f"{record.recipe.name}, seed {record.recipe.seed}"), ("recorded", _summary(done.recorded))]
    if done.same_seed is not None:
        test = done.same_seed.test
        rows.append(("same seed", f"loss {test.loss:.5f}  accuracy {test.accuracy:.4f}"))
    if record.test is not None:
        rows.append(("new run", f"loss {record.test.loss:.5f}  accuracy {record.test.accuracy:.4f}"))
    if done.verdict != "exact" and done.differs:
        rows.append(("differences", "; ".join(done.differs)))
    return output.table([*rows, ("verdict", _verdict(done)), ("run", str(done.run.path))])


def _verdict(done: Reproduction) -> str:
    if done.verdict == "exact":
        return "holds exactly: weights and test metrics are bit-identical"
    if done.interval is None:
        return "unknown: the results are not bit-identical, and one recorded seed gives no range to compare with"
    low, high = done.interval
    expected = f"accuracy of another seed is expected between {low:.4f} and {high:.4f}"
    return f"holds: {expected}" if done.is_reproduced else f"does not hold: {expected}"


def _describe(done: Reproduction) -> dict[str, Any]:
    from zoo.cli import output

    return {
        "recipe": done.run.record.recipe.name,
        "seed": done.run.record.recipe.seed,
        "verdict": done.verdict,
        "holds": done.is_reproduced,
        "test": output.describe_metrics(done.run.test_metrics),
        "recorded": {
            "test": output.describe_metrics(done.same_seed.test if done.same_seed else None),
            "test_accuracies": {each.seed: each.test.accuracy for each in done.recorded.seeds},
        },
        "expected": None if done.interval is None else list(done.interval),
        "differs": list(done.differs),
        "run": str(done.run.path.resolve()),
    }
