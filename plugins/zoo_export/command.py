"""``zoo export``."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.toolkit import (
    Folder,
    complete_names,
    data_dir_option,
    echo_json,
    json_option,
    quiet_option,
    show_progress,
    silence_native_stderr,
    table,
    traceback_option,
)

if TYPE_CHECKING:
    from pathlib import Path

    from zoo import Exported


@click.command(short_help="Export a trained model for other runtimes.")
@click.argument("run", type=Folder(), shell_complete=complete_names("recipe"))
@click.option(
    "--format",
    "formats",
    metavar="NAME",
    multiple=True,
    default=("onnx",),
    shell_complete=complete_names("exporter"),
    help="Format of the file; `zoo list exporters` lists them. May be repeated.  [default: onnx]",
)
@click.option("--int8", is_flag=True, help="Compute with 8-bit integers, calibrated on training images.")
@click.option(
    "--tolerance",
    metavar="SHARE",
    type=click.FloatRange(min=0, max=1),
    help="With --int8, the largest loss of test accuracy that is allowed.  [default: 0.005]",
)
@click.option(
    "--out",
    metavar="DIR",
    type=Folder(),
    help="Folder for the files.  [default: exports in the run folder or, for a recipe, in the current folder]",
)
@data_dir_option
@quiet_option
@json_option
@traceback_option
@click.pass_obj
def export(
    session: Any,
    run: Path,
    formats: tuple[str, ...],
    int8: bool,
    tolerance: float | None,
    out: Path | None,
    data_dir: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Export a trained model for other runtimes, and compare its answers with the model's.

    RUN is a run folder, or the name of a recipe that ships with trained weights.

    The file takes images as they are (uint8, any number of them) and returns probabilities: scaling, normalization and
    averaging over mirror images are part of it. Its own runtime runs it on all test images. A file whose predictions do
    not match those of the model is not kept. The comparison is recorded in a JSON file beside it.

    \b
    Examples:
      zoo export fashion-cnn
      zoo export runs/first --format onnx --format litert --out models
      zoo export runs/first --int8 --tolerance 0.01
    """
    from zoo import export as export_run
    from zoo import open_run
    from zoo.errors import ExportError

    registry = session.registry
    with silence_native_stderr(), contextlib.redirect_stdout(sys.stderr):
        found = open_run(run, registry=registry)
    with show_progress(quiet) as progress, contextlib.redirect_stdout(sys.stderr):
        failure = None
        try:
            exported = export_run(
                found,
                formats,
                int8=int8,
                tolerance=tolerance,
                out=out,
                data_dir=data_dir,
                progress=progress,
                registry=registry,
            )
        except ExportError as error:
            failure, exported = error, list(error.exported)
    if as_json and exported:
        echo_json([_described(each) for each in exported])
    elif exported:
        click.echo(_table(exported))
    if failure is not None:
        for name, reason in failure.errors.items():
            click.echo(f"{name}: {reason}", err=True)
        count = len(failure.errors)
        raise failure.with_message(
            f"{count} of {count + len(exported)} formats failed. Fix what is wrong, or leave them out. "
            f"Received: format={', '.join(failure.errors)}"
        )


def _described(exported: Exported) -> dict[str, Any]:
    parity = exported.record.parity
    return {
        "file": str(exported.path),
        "exporter": exported.record.export.exporter,
        "int8": exported.record.export.int8,
        "bytes": _size(exported),
        "parity": {name: getattr(parity, name) for name in parity.__struct_fields__},
        "seconds": exported.record.seconds,
    }


def _size(exported: Exported) -> int:
    return sum(each.size for each in exported.record.files.values())


def _table(several: list[Exported]) -> str:
    rows = [("file", "size", "largest difference", "other classes", "accuracy", "model's")]
    for each in several:
        parity = each.record.parity
        rows.append(
            (
                str(each.path),
                f"{_size(each) / 1e6:.2f} MB",
                f"{parity.largest_difference:.1e}",
                f"{parity.different_predictions:,} of {parity.images:,}",
                f"{parity.accuracy:.4f}",
                f"{parity.model_accuracy:.4f}",
            )
        )
    return table(rows, numbers=range(1, 6))
