"""``zoo data``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from zoo import open_run
from zoo.cli.toolkit import (
    complete_names,
    data_dir_option,
    echo_json,
    json_option,
    quiet_option,
    settings_option,
    show_progress,
    traceback_option,
)
from zoo.runs import OUT_OF_FOLD, is_run
from zoo.utils import check_writable, write_file

if TYPE_CHECKING:
    from zoo_data.inspection import Source


@click.command(short_help="Show what a dataset contains: classes, pixels, copies, doubtful labels.")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_names("dataset", "recipe"))
@click.option(
    "--dataset",
    metavar="NAME",
    shell_complete=complete_names("dataset"),
    help="Use this dataset instead of the recipe's.",
)
@data_dir_option
@settings_option
@click.option(
    "--labels",
    "check_labels",
    is_flag=True,
    help="Find labels that are likely wrong among the validation images of a run, with its model.",
)
@click.option(
    "--predictions",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Find labels that are likely wrong with the out-of-fold predictions of `zoo sweep --folds`: the file, or its "
    "folder.",
)
@click.option(
    "--html", metavar="FILE.html", type=click.Path(path_type=Path), help="Also write a page with pictures to this file."
)
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many groups of copies, doubtful labels and unusable files to print.",
)
@quiet_option
@json_option
@traceback_option
@click.pass_obj
def data(
    session: Any,
    name: str | None,
    dataset: str | None,
    data_dir: Path | None,
    settings: dict[str, str],
    check_labels: bool,
    predictions: Path | None,
    html: Path | None,
    top: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show what a dataset contains, before anything is trained on it.

    NAME is a dataset, a recipe (for its dataset and settings), a run folder, or, with --labels, a recipe with trained
    weights. Shows parts, classes and imbalance, brightness and color, files that cannot be used, copies and near copies
    within and across parts and classes, and what to do about these. The exit status is 0 whatever is found.

    Of the test images, only the labels are counted and copies are looked for. TensorFlow is imported only for --labels.

    \b
    Examples:
      zoo data fashion-mnist
      zoo data image-folder --data-dir photos --html photos.html
      zoo data fashion-cnn --labels
      zoo data fashion-cnn --dataset image-folder --data-dir photos --set dataset.size=64,64
    """
    if html is not None and html.suffix.lower() != ".html":
        raise click.BadParameter(f"{str(html)!r} does not end with .html. Give an HTML file.", param_hint="'--html'")
    if check_labels and predictions is not None:
        raise click.UsageError("--labels and --predictions cannot be combined. Pass only one of them.")
    if html is not None:
        check_writable(html)
    from zoo_data.inspection import inspect
    from zoo_data.showing import as_text

    registry = session.registry
    with show_progress(quiet) as progress, contextlib.redirect_stdout(sys.stderr):  # what plugins print is not output
        source = _source(name, dataset, settings, data_dir, registry, check_labels=check_labels)
        report, parts, labels = inspect(
            source, registry=registry, progress=progress, check_labels=check_labels, predictions=predictions
        )
        if html is not None:
            from zoo_data.page import render

            progress.stage("writing the page")
            write_file(html, render(report, parts, labels).encode(errors="replace"))
    if as_json:
        echo_json(msgspec.to_builtins(report))
    else:
        click.echo(as_text(report, top))


def _source(
    name: str | None,
    dataset: str | None,
    settings: dict[str, str],
    data_dir: Path | None,
    registry: Any,
    *,
    check_labels: bool,
) -> Source:
    """Return the data that the arguments name.

    Raises:
        UsageError: They do not go together.
        ZooError: There is no such dataset, recipe or run.
    """
    from zoo_data.inspection import source_of_name, source_of_run

    if name is None and dataset is None:
        raise click.UsageError("Pass the name of a dataset, a recipe or a run folder.")
    is_folder_of_run = name is not None and is_run(Path(name))
    if name is not None and not is_folder_of_run and (Path(name) / OUT_OF_FOLD).is_file():
        raise click.UsageError(
            f"{name} is the folder of a sweep. Pass the name of its dataset or recipe, and this folder as "
            f"--predictions {name}."
        )
    if check_labels or is_folder_of_run:
        if name is None or dataset is not None or settings:
            raise click.UsageError(
                "A run has its own dataset and settings. Pass its folder, or a recipe with trained weights, without "
                "--dataset and --set."
            )
        return source_of_run(open_run(name, registry=registry), data_dir, registry)
    if name is None:
        name, dataset = registry.datasets.get(dataset).qualified_name, None
    return source_of_name(name, dataset, settings, data_dir, registry)
