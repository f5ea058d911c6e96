"""``zoo report``: a run as one HTML file."""

from __future__ import annotations

import contextlib
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo import ZooError, load_data, open_run, read_predictions
from zoo.errors import RunFolderError, ZooWarning
from zoo.utils import check_writable, write_file

if TYPE_CHECKING:
    from zoo import Registry, Run
    from zoo.runs import Predictions
    from zoo_results.measures import Mistake
    from zoo_results.mistakes import Picture

_NAME = "report.html"


@click.command(short_help="Write a report of a run: one HTML file.")
@click.argument("name", metavar="RUN")
@click.option(
    "--out",
    metavar="FILE.html",
    type=click.Path(path_type=Path),
    help="The file to write.  [default: report.html in the run folder; for a recipe, RECIPE-report.html here]",
)
@click.option("--data-dir", metavar="DIR", type=click.Path(path_type=Path), help="Read the data set from this folder.")
@click.option(
    "--mistakes",
    type=click.IntRange(min=0, max=500),
    default=24,
    show_default=True,
    help="How many of the surest mistakes to show.",
)
@click.pass_obj
def report(session: Any, name: str, out: Path | None, data_dir: Path | None, mistakes: int) -> None:
    """Write a report of a run: one HTML file that needs no network, no script and no other file.

    RUN is a run folder, or the name of a recipe that comes with trained weights. The report has settings, curves, the
    confusion matrix, precision and recall of each class, calibration, the surest mistakes as pictures, and the
    environment. A report that is there already is replaced.
    """
    if out is not None and out.suffix.lower() != ".html":
        raise click.BadParameter(f"{str(out)!r} does not end with .html.", param_hint="'--out'")
    from zoo_results.measures import worst_mistakes
    from zoo_results.page import render

    is_folder = Path(name).exists()
    run = open_run(name) if is_folder else open_run(name, registry=session.registry)
    out = out or (run.path / _NAME if is_folder else Path(f"{run.record.recipe.name}-{_NAME}"))
    check_writable(out)
    notes = []
    if run.record.error is not None:
        notes.append(f"The run failed: {run.record.error}")
    found = _predictions(run, notes)
    worst = worst_mistakes(found, mistakes) if found is not None else []
    pictures = _pictures(run, session, data_dir, found, worst, notes)
    page = render(run, found, list(zip(worst, pictures, strict=True)), notes)
    write_file(out, page.encode(errors="replace"))
    click.echo(str(out))


def _predictions(run: Run, notes: list[str]) -> Predictions | None:
    """Return the test predictions, or none and a note that says why.

    Raises:
        ArtifactError: They are damaged.
    """
    try:
        return read_predictions(run)
    except RunFolderError as error:
        notes.append(str(error))
        return None


def _pictures(
    run: Run, session: Any, data_dir: Path | None, found: Predictions | None, worst: list[Mistake], notes: list[str]
) -> list[Picture]:
    """Return the pictures of mistakes; none at all, with a note that says why, if the data cannot be had."""
    from zoo_results.mistakes import Picture, pictures_of

    if found is None or not worst:
        return []
    registry: Registry = session.registry
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints is not our output
            split = load_data(run, registry=registry, data_dir=data_dir)
            return pictures_of(worst, split, found)
    except ZooError as error:
        notes.append(
            "There are no pictures of mistakes, since the data cannot be loaded (if they are elsewhere: "
            f"`zoo report RUN --data-dir ...`): {error}"
        )
        warnings.warn(notes[-1], ZooWarning, stacklevel=2)
        return [Picture()] * len(worst)
