"""``zoo record`` and ``zoo reproduce``: what a recipe came to, written down, and whether it holds."""

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


@click.command(short_help="Write down what a recipe came to with several seeds.")
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=Folder())
@click.option(
    "--out",
    metavar="FILE.json",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file, in place of the one that is there.",
)
@quiet_option
@traceback_option
@click.pass_obj
def record(session: Session, folders: tuple[Path, ...], out: Path, quiet: bool) -> None:
    """Write down what a recipe came to with several seeds.

    Each RUN is the folder of a tested run; they differ in nothing but the seed. A recipe that names the file as its
    results can be reproduced: `zoo reproduce RECIPE`.
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
    work = "not known" if recorded.multiply_adds is None else f"{recorded.multiply_adds:,}"
    rows = [
        ("recipe", recorded.recipe.name),
        ("test", _summary(recorded)),
        ("parameters", f"{recorded.parameters:,}"),
        ("multiply-adds", f"{work} an image"),
        ("written", str(out)),
    ]
    click.echo(output.table(rows))


@click.command(short_help="Train a recipe again: does what is recorded hold?")
@click.argument("recipe", shell_complete=complete_names("recipe"))
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), help="Another seed than that of the recorded run.")
@click.option(
    "--out",
    metavar="DIR",
    type=Folder(),
    help="The run folder; it is empty, but for logs and hidden files.  [default: runs/RECIPE/TIME-ID]",
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
    """Train and test a recipe again, and say whether what is recorded of it holds.

    It holds exactly if the weights and the test figures are the same to the last bit, as they are on a processor with
    the same versions; or it holds if the test accuracy is one that another seed is expected to have, by the deviation
    over the recorded seeds. Otherwise the exit status is 1.
    """
    from zoo.cli import output
    from zoo.cli.progress import show_progress
    from zoo.pipeline.reproduction import compare_with_recorded, prepare_reproduction
    from zoo.utils import allocator

    # what is wrong in the call is told before Keras has been waited for; a model that imports it at its top is quiet
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
        rows.append(("this seed", f"loss {test.loss:.5f}  accuracy {test.accuracy:.4f}"))
    if record.test is not None:
        rows.append(("now", f"loss {record.test.loss:.5f}  accuracy {record.test.accuracy:.4f}"))
    if done.verdict != "exact" and done.differs:
        rows.append(("what differs", "; ".join(done.differs)))
    return output.table([*rows, ("verdict", _verdict(done)), ("run", str(done.run.path))])


def _verdict(done: Reproduction) -> str:
    if done.verdict == "exact":
        return "it holds exactly: the same weights and figures, bit for bit"
    if done.interval is None:
        return "it cannot be told: the bits differ, and one seed alone is recorded, so there is no deviation"
    low, high = done.interval
    expected = f"another seed is expected between {low:.4f} and {high:.4f}"
    return f"it holds: {expected}" if done.is_reproduced else f"it does not hold: {expected}"


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
