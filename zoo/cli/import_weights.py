"""``zoo import``."""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.completion import complete_names
from zoo.cli.options import (
    Folder,
    data_dir_option,
    json_option,
    quiet_option,
    settings_option,
    traceback_option,
)
from zoo.errors import DataError
from zoo.utils.keras_import import import_keras, silence_native_stderr

if TYPE_CHECKING:
    from zoo.cli.context import Session


_MOST_CLASSES = 100_000


def _shape(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        return tuple(int(side) for side in value.replace("x", ",").split(","))
    except ValueError:
        raise click.BadParameter(f"It must be HEIGHT,WIDTH,CHANNELS, such as 224,224,3. Received: {value!r}") from None


def _class_names(value: str | None) -> list[str] | None:
    """Return the lines of a file, or numbers from 0 if it is a number."""
    if value is None:
        return None
    if value.isdecimal() and not Path(value).exists():
        if int(value) > _MOST_CLASSES:
            raise click.BadParameter(f"There are at most {_MOST_CLASSES:,} classes. Received: {value}")
        return [str(number) for number in range(int(value))]
    from zoo.utils import files

    try:
        text = files.read(Path(value), 1 << 20).decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{value} is not text: it must have the name of a class on each line. Received: classes={value!r}",
            path=Path(value),
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


@click.command(name="import", short_help="Import weights of another program.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--model",
    metavar="NAME",
    shell_complete=complete_names("model"),
    help="The registered model that the weights belong to.  [default: the recipe's]",
)
@click.option(
    "--recipe",
    metavar="NAME",
    shell_complete=complete_names("recipe"),
    help="The recipe to test and train it with.  [default: the first that names the model, or of its plugin]",
)
@click.option(
    "--dataset", metavar="NAME", shell_complete=complete_names("dataset"), help="Use this dataset, not the recipe's."
)
@settings_option
@data_dir_option
@click.option(
    "--input-shape",
    metavar="H,W,C",
    callback=_shape,
    help="Height, width and channels of the images.  [default: those of the dataset, which is read]",
)
@click.option(
    "--classes",
    metavar="FILE|N",
    help="With --input-shape: a text file with the name of a class on each line, or the number of classes.",
)
@click.option("--out", metavar="DIR", type=Folder(), help="Run folder.  [default: runs/RECIPE/TIME-ID]")
@quiet_option
@json_option
@traceback_option
@click.pass_obj
def import_(
    session: Session,
    file: Path,
    model: str | None,
    recipe: str | None,
    dataset: str | None,
    settings: dict[str, str],
    data_dir: Path | None,
    input_shape: tuple[int, ...] | None,
    classes: str | None,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Import weights of another program into a run folder.

    FILE is a weights file of Keras 1 to 3 (.h5, .hdf5, .keras), PyTorch (.pt, .pth, .bin), safetensors or ONNX. Its
    arrays are matched with the weights of a registered model, by names that are known, else by order and shape; a
    table shows what went where. Nothing in the file is executed. The run can be tested, used for predictions and
    started from.

    \b
    Examples:
      zoo import cnn_tf.model.best.hdf5 --model fashion-cnn --out runs/original
      zoo import weights.pth --model efficientnet-lite0 --input-shape 224,224,3 --classes imagenet.txt
    """
    from zoo.cli import output
    from zoo.cli.progress import show_progress
    from zoo.data.loading import needs_data_dir
    from zoo.pipeline.import_run import carry_out_import, prepare_import

    with silence_native_stderr(), contextlib.redirect_stdout(sys.stderr):
        class_names = _class_names(classes)
        config = prepare_import(
            session.registry,
            file,
            model=model,
            recipe=recipe,
            dataset=dataset,
            settings=settings,
            data_dir=data_dir,
            input_shape=input_shape,
            class_names=class_names,
            out=out,
        )
    with show_progress(quiet) as progress, contextlib.redirect_stdout(sys.stderr):
        progress.stage("loading Keras")
        import_keras()
        run, matching = carry_out_import(config, file, input_shape, class_names, progress)
    if as_json:
        output.echo_json(
            {
                **output.describe_run(run),
                "format": run.record.init.format if run.record.init else None,
                "taken": [
                    {"array": each.source, "weight": each.target, "shape": list(each.shape), "change": each.how}
                    for each in matching.taken
                ],
            }
        )
        return
    rows = [(each.source, each.target, "x".join(map(str, each.shape)), each.how) for each in matching.taken]
    click.echo(output.table([("array", "weight", "shape", "change"), *rows]))
    path = shlex.quote(str(run.path))
    data = " --data-dir DIR" if needs_data_dir(config.recipe.dataset) else ""
    use = f"zoo predict {path} IMAGE" if input_shape else f"zoo test {path}{data}"
    click.echo(f"\n{len(rows)} arrays imported. Next: `{use}`")
