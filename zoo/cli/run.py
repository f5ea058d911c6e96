"""``zoo run``, ``zoo train``, ``zoo resume``, ``zoo test``."""

from __future__ import annotations

import contextlib
import errno
import sys
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.completion import complete_names
from zoo.cli.options import (
    Folder,
    check_skip_bad,
    data_dir_option,
    json_option,
    quiet_option,
    recipe_options,
    traceback_option,
    track_option,
)
from zoo.errors import ZooError
from zoo.utils.keras_import import import_keras, silence_native_stderr

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zoo.cli.context import Session
    from zoo.pipeline.run_config import RunConfig
    from zoo.types import Goal


@click.command(short_help="Train, save, load and test a recipe.")
@click.argument("recipe", shell_complete=complete_names("recipe"))
@recipe_options
@click.pass_obj
def run(session: Session, /, **options: Any) -> None:
    """Train, save, load and test a recipe.

    A recipe names a dataset, a model, a trainer and their settings; options override them. The best epoch is saved,
    loaded into a fresh model and tested. The loaded model must score exactly what the trained one scored. Results,
    plots of the curves and a picture of predictions are written to the run folder.

    \b
    Examples:
      zoo run fashion-cnn
      zoo run fashion-cnn --epochs 3 --set model.dropout=0.1 --seed 1
    """
    _train_to("tested", session, **options)


@click.command(short_help="Train a recipe and save the model.")
@click.argument("recipe", shell_complete=complete_names("recipe"))
@recipe_options
@click.pass_obj
def train(session: Session, /, **options: Any) -> None:
    """Train a recipe and save the model.

    The model of the best epoch is saved. The test images are not read: choose between runs by validation metrics, then
    run `zoo test RUN` on the one that you chose.

    \b
    Example:
      zoo train fashion-cnn --epochs 3 --out runs/first
    """
    _train_to("trained", session, **options)


@click.command(short_help="Resume a stopped run.")
@click.argument("folder", metavar="RUN", type=Folder())
@data_dir_option
@track_option
@quiet_option
@json_option
@traceback_option
@click.pass_obj
def resume(
    session: Session, folder: Path, data_dir: Path | None, track: tuple[str, ...], quiet: bool, as_json: bool
) -> None:
    """Resume a stopped run from its newest checkpoint.

    The run keeps the settings that it was started with; pass --data-dir again if it was used. Results are bit-identical
    to those of an uninterrupted run. If the run is finished, its results are shown.

    \b
    Example:
      zoo resume runs/first
    """
    from zoo.pipeline.preparation import from_run
    from zoo.runs.run_folder import open_run
    from zoo.utils import locks

    locks.check_free(folder)
    with _plugins_quiet():
        earlier = open_run(folder)
        config = from_run(earlier, session.registry, track=track, data_dir=data_dir)
        config.check_data()
    _carry_out(config, earlier.record.goal, quiet=quiet, as_json=as_json)


@click.command(short_help="Load the model of a run, or an exported file, and test it.")
@click.argument("run", type=Folder(), shell_complete=complete_names("recipe"))
@data_dir_option
@quiet_option
@json_option
@traceback_option
@click.pass_obj
def test(session: Session, run: Path, data_dir: Path | None, quiet: bool, as_json: bool) -> None:
    """Load the model of a run, or an exported file, and test it on the test images.

    RUN is a run folder, the name of a recipe that ships with trained weights, or a file that `zoo export` wrote. A file
    is run by its own runtime, without Keras.

    \b
    Examples:
      zoo test fashion-cnn
      zoo test runs/first
      zoo test fashion-cnn.onnx
    """
    from zoo.registry.exported_files import is_exported

    if is_exported(run, session.registry):
        _test_exported(session, run, data_dir, quiet=quiet, as_json=as_json)
    else:
        _test_run(session, run, data_dir, quiet=quiet, as_json=as_json)


def _test_run(session: Session, run: Path, data_dir: Path | None, *, quiet: bool, as_json: bool) -> None:
    import time

    from zoo.cli import output
    from zoo.cli.progress import show_progress
    from zoo.data.loading import check_data_dir
    from zoo.pipeline.evaluate import evaluate_run
    from zoo.recipes import pretrained, run_recipes

    started = time.perf_counter()
    with _plugins_quiet():
        # report a wrong call before the slow import of Keras
        found = pretrained.open_run(session.registry, run)
        check_data_dir(run_recipes.from_run(session.registry, found).dataset, data_dir)
    with show_progress(quiet) as progress, contextlib.redirect_stdout(sys.stderr):
        progress.stage("loading Keras")
        import_keras()
        tested, evaluation = evaluate_run(found, session.registry, data_dir, progress)
    seconds = time.perf_counter() - started
    if as_json:
        output.echo_json(output.describe_test(tested, evaluation, seconds))
    else:
        click.echo(output.test_table(tested, seconds))


def _test_exported(session: Session, file: Path, data_dir: Path | None, *, quiet: bool, as_json: bool) -> None:
    import time

    from zoo.cli import output
    from zoo.cli.progress import show_progress
    from zoo.pipeline.evaluate_exported import evaluate_exported
    from zoo.pipeline.exported import open_exported

    started = time.perf_counter()
    with _plugins_quiet(), show_progress(quiet) as progress:
        loaded = open_exported(file, session.registry)
        evaluation = evaluate_exported(loaded, session.registry, data_dir, progress)
    seconds = time.perf_counter() - started
    if as_json:
        output.echo_json(output.describe_exported_test(loaded, evaluation, seconds))
    else:
        click.echo(output.exported_test_table(loaded, evaluation, seconds))


def _train_to(
    goal: Goal, session: Session, *, recipe: str, quiet: bool, as_json: bool, skip_bad: bool, **options: Any
) -> None:
    from zoo.pipeline.preparation import prepare

    registry, out = session.registry, options["out"]
    if options["resume"] and out is None:
        raise click.UsageError("--resume needs --out. Pass the folder of the run to resume.")
    with _plugins_quiet():
        if skip_bad:
            check_skip_bad(registry, recipe, options["dataset"], out if options["resume"] else None)
            options["settings"] = {**options["settings"], "dataset.skip_bad": True}
        config = prepare(recipe, registry=registry, check_data=False, **options)
        config.check_goal(goal)
        config.check_data()
    _carry_out(config, goal, quiet=quiet, as_json=as_json)


@contextlib.contextmanager
def _plugins_quiet() -> Iterator[None]:
    """Keep what plugins print, and what Keras prints when they import it at module level, out of our output."""
    with silence_native_stderr(), contextlib.redirect_stdout(sys.stderr):
        yield


def _carry_out(config: RunConfig, goal: Goal, *, quiet: bool, as_json: bool) -> None:
    from zoo.cli import output
    from zoo.cli.progress import show_progress
    from zoo.utils import allocator

    # keep what a plugin prints out of our output
    with show_progress(quiet, config.recipe.monitor) as progress, contextlib.redirect_stdout(sys.stderr):
        progress.stage("loading Keras")
        allocator.keep_freed_memory()  # before the backend is imported
        import_keras()
        done = config.train(progress) if goal == "trained" else config.run(progress)
    try:
        if as_json:
            output.echo_json(output.describe_run(done))
        else:
            click.echo(output.run_table(done))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # the reader closed the pipe
        raise ZooError(
            f"Cannot write to standard output: {error.strerror}. The run in {done.path} is finished; `zoo resume` "
            "shows its results."
        ) from error
