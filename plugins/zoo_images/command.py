"""``zoo predict``."""

from __future__ import annotations

import contextlib
import sys
import warnings
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zoo import DataError
from zoo.cli.toolkit import complete_pretrained
from zoo.errors import ZooWarning

if TYPE_CHECKING:
    from zoo import LoadedModel
    from zoo.images import Invert, Outcome, Sources
    from zoo_images.csv_columns import Column

_NAMED = 5  # maximum number of names in a message


def _parse_columns(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[Column, ...]:
    from zoo_images.csv_columns import parse_columns  # imported here so that --help stays fast

    if value is None:
        return ()
    try:
        return parse_columns(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


@click.command(short_help="Predict the classes of image files.")
@click.argument("run", metavar="RUN", shell_complete=complete_pretrained)
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--top",
    metavar="K",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Number of classes to show per image.",
)
@click.option(
    "--invert",
    type=click.Choice(["auto", "yes", "no"]),
    default="auto",
    show_default=True,
    help="Invert brightness: auto inverts an image if its border is light and the model's training images are light on "
    "dark.",
)
@click.option("--skip-bad", is_flag=True, help="Skip files that cannot be read, and count them.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array with one object per image.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with one line per image and class.")
@click.option(
    "--columns",
    metavar="[TITLE=]FIELD,...",
    callback=_parse_columns,
    help="Print CSV with one line per image and these columns. FIELD is file, name (without folder), stem (without "
    "folder and suffix), class, probability, probabilities (a column per class), or inverted.",
)
@click.option("--quiet", is_flag=True, help="Hide progress and the notes on images.")
@click.pass_obj
def predict(
    session: Any,
    run: str,
    images: tuple[str, ...],
    top: int,
    invert: Invert,
    skip_bad: bool,
    as_json: bool,
    as_csv: bool,
    columns: tuple[Column, ...],
    quiet: bool,
) -> None:
    """Predict the classes of image files.

    RUN is a run folder, the name of a recipe that ships with trained weights, or a file that `zoo export` wrote, which
    its own runtime runs without Keras. IMAGE is a file, a folder, a quoted pattern ("photos/**/*.jpg"), or - for an
    image on standard input.

    Images are preprocessed like the model's training images, as the dataset specifies: rotated upright, converted to
    gray or color, inverted (see --invert), brought to a black background, trimmed and scaled. An image that already has
    the model's size is not trimmed or scaled.

    With --skip-bad, the exit status is 1 only if no file can be read. Without it, the exit status is 1 if any file
    cannot be read; the others are still predicted.

    \b
    Examples:
      zoo predict fashion-cnn shirt.jpg
      zoo predict runs/cats photos/ --top 1 --csv > classes.csv
      zoo predict runs/cats test/ --columns id=stem,label=class > submission.csv
      zoo predict runs/cats test/ --columns id=stem,probabilities > submission.csv
      zoo predict cats.onnx photos/
      curl ... | zoo predict runs/cats -
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv cannot be combined. Pass only one of them.")
    if columns and as_json:
        raise click.UsageError("--json and --columns cannot be combined. Pass only one of them.")
    if columns and click.get_current_context().get_parameter_source("top") is not ParameterSource.DEFAULT:
        raise click.UsageError("--top and --columns cannot be combined: with --columns, an image has one line.")
    from zoo import load, open_run  # imported here so that --help stays fast
    from zoo.cli.toolkit import import_keras, is_exported  # imported here so that --help stays fast
    from zoo.images import check_takes_files, predict_files
    from zoo_images.csv_columns import as_columns_text, warn_of_repeated
    from zoo_images.showing import as_csv_text, as_json_text, as_lines

    registry = session.registry
    with contextlib.redirect_stdout(sys.stderr):  # keep what a plugin prints out of our output
        if is_exported(run, registry):
            loaded = load(run, registry=registry)
            check_takes_files(loaded.input_shape)
            sources = _expand(images, skip_bad, quiet)
        else:  # report a wrong call before the slow import of Keras
            check_takes_files(open_run(run, registry=registry).record.data.input_shape)
            sources = _expand(images, skip_bad, quiet)
            if not quiet:
                click.echo("loading Keras and the model", err=True)  # which takes seconds
            import_keras()
            loaded = load(run, registry=registry)
        is_hidden = quiet or sys.stderr is None or not sys.stderr.isatty()
        with click.progressbar(length=len(sources.files), label="predicting", file=sys.stderr, hidden=is_hidden) as bar:
            outcome = predict_files(loaded, sources, None if columns else top, invert, bar.update)
    if columns:
        click.echo(as_columns_text(outcome.predictions, columns, loaded.class_names), nl=False)
        warn_of_repeated(outcome.predictions, columns)
    else:
        show = as_json_text if as_json else as_csv_text if as_csv else as_lines
        click.echo(show(outcome.predictions), nl=False)
    if not quiet:
        _tell_inverted(outcome, invert, loaded)
        _tell_uneven(outcome)
    _tell_bad(outcome, skip_bad)


def _expand(images: tuple[str, ...], skip_bad: bool, quiet: bool) -> Sources:
    """Return the files to predict, and report what was passed over in folders.

    Raises:
        DataError: There are none.
    """
    from zoo.images import Outcome, expand, shown

    sources = expand(images)
    if sources.passed_over and not quiet:
        names = ", ".join(shown(name) for name in sources.passed_over[:_NAMED])
        more = f" and {len(sources.passed_over) - _NAMED} more" if len(sources.passed_over) > _NAMED else ""
        click.echo(f"Passed over, since they are not images: {names}{more}.", err=True)
    if sources.litter and not quiet:
        files = "file or folder" if sources.litter == 1 else "files and folders"
        click.echo(f"Ignored: {sources.litter} {files} that systems leave beside images, such as .DS_Store.", err=True)
    if not sources.files:
        _tell_bad(Outcome(bad=list(sources.bad)), skip_bad)
    return sources


def _tell_inverted(outcome: Outcome, invert: Invert, loaded: LoadedModel) -> None:
    """Report how many images were inverted, or that none were because the dataset does not specify it."""
    is_light_on_dark = loaded.image_input.inverted
    if invert == "no" or not outcome.predictions:
        return
    if invert == "auto" and is_light_on_dark is None:
        click.echo(
            f"No images inverted: dataset {_dataset_of(loaded)} does not specify whether its images "
            "are light on dark. If they are and yours are not, use --invert yes.",
            err=True,
        )
    if invert == "auto" and not is_light_on_dark:
        return
    inverted, count = sum(each.inverted for each in outcome.predictions), len(outcome.predictions)
    why = ": their borders are light, and the model's training images are light on dark" if invert == "auto" else ""
    if not inverted:
        why = ": no border is light"
    click.echo(f"{inverted} of {count} image{'s' if count > 1 else ''} inverted{why}.", err=True)


def _tell_uneven(outcome: Outcome) -> None:
    """Report the images whose backgrounds are unlike those of the training images."""
    from zoo.images import shown

    uneven = [each.file for each in outcome.predictions if each.has_uneven_background]
    if uneven:
        names = ", ".join(shown(name) for name in uneven[:_NAMED])
        more = f" and {len(uneven) - _NAMED} more" if len(uneven) > _NAMED else ""
        click.echo(
            f"{len(uneven)} of {len(outcome.predictions)} images may be predicted wrongly, since the training images "
            "are light on black, but the background of these is neither black, white nor of an even brightness: "
            f"{names}{more}. Photograph them on a plain background, or cut them out.",
            err=True,
        )


def _dataset_of(loaded: LoadedModel) -> str:
    return loaded.run.record.recipe.dataset.name if loaded.exported is None else loaded.exported.dataset.name


def _tell_bad(outcome: Outcome, skip_bad: bool) -> None:
    """Print why each file could not be read.

    Raises:
        DataError: A file could not be read and ``skip_bad`` is false, or no file could be read.
    """
    if not outcome.bad:
        return
    for text in outcome.bad:
        click.echo(text, err=True)
    count = len(outcome.bad) + len(outcome.predictions)
    if not outcome.predictions:
        raise DataError(
            f"None of the {count} files can be read. Fix them, or pass other files."
            if count > 1
            else "The file cannot be read. Fix it, or pass another file."
        )
    if not skip_bad:
        raise DataError(
            f"{len(outcome.bad)} of {count} files cannot be read. Fix or remove them, or skip them with --skip-bad."
        )
    warnings.warn(f"{len(outcome.bad)} of {count} files cannot be read and were skipped.", ZooWarning, stacklevel=2)
