"""``zoo report``: an HTML report of a run."""

from __future__ import annotations

import contextlib
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo import DataError, Run, ZooError, load_data, open_run
from zoo.errors import ZooWarning
from zoo.utils import check_writable, printable, write_file

if TYPE_CHECKING:
    from zoo import Registry
    from zoo.runs import Predictions
    from zoo_results.metrics import Mistake
    from zoo_results.worst_predictions import Picture

_NAME = "report.html"


@click.command(short_help="Write an HTML report of a run.")
@click.argument("name", metavar="RUN")
@click.option(
    "--out",
    metavar="FILE.html",
    type=click.Path(path_type=Path),
    help="HTML file to write.  [default: report.html in the run folder; for a recipe, RECIPE-report.html in the "
    "current folder]",
)
@click.option(
    "--data-dir", metavar="DIR", type=click.Path(path_type=Path), help="Read the dataset from this folder or file."
)
@click.option(
    "--mistakes",
    type=click.IntRange(min=0, max=500),
    default=24,
    show_default=True,
    help="How many of the most confident mistakes to show.",
)
@click.pass_obj
def report(session: Any, name: str, out: Path | None, data_dir: Path | None, mistakes: int) -> None:
    """Write an HTML report of a run.

    RUN is a run folder, or the name of a recipe that ships with trained weights. The report is one self-contained file
    without scripts or network access. It shows settings, curves, the confusion matrix, precision and recall of each
    class, calibration, the most confident mistakes as images, and the environment. An existing report is replaced.

    \b
    Examples:
      zoo report runs/first
      zoo report fashion-cnn --out report.html
    """
    if out is not None and out.suffix.lower() != ".html":
        raise click.BadParameter(f"{str(out)!r} does not end with .html. Give an HTML file.", param_hint="'--out'")
    with contextlib.redirect_stdout(sys.stderr):  # keep what a plugin prints out of our output
        written = write_report(name, out, data_dir=data_dir, mistakes=mistakes, registry=session.registry)
    click.echo(printable(str(written)))


def write_report(
    run: str | Path | Run,
    out: str | Path | None = None,
    *,
    data_dir: str | Path | None = None,
    mistakes: int = 24,
    registry: Registry | None = None,
) -> Path:
    """Write an HTML report of a run and return its path, as ``zoo report`` does.

    Args:
        run: The run, its folder, or the name of a recipe that ships with trained weights.
        out: The HTML file; an existing file is replaced. By default ``report.html`` in the run folder, or
            ``RECIPE-report.html`` in the current folder for weights that ship with a recipe.
        data_dir: Folder or file to read the dataset from, for the images of mistakes.
        mistakes: Number of most confident mistakes to show.
        registry: As for `zoo.run`.

    Raises:
        RunFolderError: There is no such run, its test predictions cannot be read, or the file cannot be written.
        ArtifactError: The test predictions of the run are damaged.
    """
    from zoo_results.metrics import worst_mistakes
    from zoo_results.page import render
    from zoo_results.saved_predictions import predictions_or_reason

    found = open_run(run, registry=registry)
    if out is None:
        out = Path(f"{found.record.recipe.name}-{_NAME}") if found.is_pretrained else found.path / _NAME
    out = Path(out)
    check_writable(out)
    notes = []
    if found.record.error is not None:
        notes.append(f"The run failed: {found.record.error}")
    saved = predictions_or_reason(found)
    if isinstance(saved, str):
        notes.append(saved)
    predictions = None if isinstance(saved, str) else saved
    worst = worst_mistakes(predictions, mistakes) if predictions is not None else []
    pictures = _pictures(found, registry, data_dir, predictions, worst, notes)
    page = render(found, predictions, list(zip(worst, pictures, strict=True)), notes)
    write_file(out, page.encode(errors="replace"))
    return out


def _pictures(
    run: Run,
    registry: Registry | None,
    data_dir: str | Path | None,
    found: Predictions | None,
    worst: list[Mistake],
    notes: list[str],
) -> list[Picture]:
    """Return the images of mistakes; if the data cannot be loaded, return empty ones and add a note that says why."""
    from zoo_results.worst_predictions import Picture, pictures_of

    if found is None or not worst:
        return []
    try:
        return pictures_of(worst, load_data(run, registry=registry, data_dir=data_dir), found)
    except ZooError as error:
        cure = " If it has moved, use `zoo report RUN --data-dir ...`." if isinstance(error, DataError) else ""
        notes.append(f"The images of mistakes are missing, because the data cannot be used.{cure} {error}")
        warnings.warn(notes[-1], ZooWarning, stacklevel=3)
        return [Picture()] * len(worst)
