"""``zoo bench``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from zoo.cli.toolkit import complete_names, data_dir_option, echo_json, json_option, quiet_option
from zoo.utils import check_writable, printable, write_file
from zoo_bench.benchmarking import BATCH_SIZES, ROUNDS, SECONDS, benchmark

if TYPE_CHECKING:
    from zoo_bench.records import Report


@click.command(short_help="Measure the latency, memory and size of trained models.")
@click.argument("models", metavar="RUN|FILE...", nargs=-1, required=True, shell_complete=complete_names("recipe"))
@click.option(
    "--batch-size",
    "batch_sizes",
    metavar="N",
    type=click.IntRange(min=1, max=100_000),
    multiple=True,
    default=BATCH_SIZES,
    show_default=True,
    help="Number of images per call. May be repeated.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    default=SECONDS,
    show_default=True,
    help="How long to measure each batch size in each round.",
)
@click.option(
    "--rounds",
    metavar="N",
    type=click.IntRange(min=1, max=1000),
    default=ROUNDS,
    show_default=True,
    help="How many times to measure each model, each time in a new process.",
)
@click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(min=1),
    help="Number of CPUs and threads that a model may use.  [default: all usable CPUs]",
)
@data_dir_option
@click.option(
    "--plot",
    metavar="FILE.png",
    type=click.Path(path_type=Path),
    help="Plot accuracy over latency at the first batch size to this file.",
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with one line per model and batch size.")
@quiet_option
@click.pass_context
def bench(
    ctx: click.Context,
    models: tuple[str, ...],
    batch_sizes: tuple[int, ...],
    seconds: float,
    rounds: int,
    threads: int | None,
    data_dir: Path | None,
    plot: Path | None,
    as_json: bool,
    as_csv: bool,
    quiet: bool,
) -> None:
    """Measure the latency, memory and size of trained models.

    RUN is a run folder, or the name of a recipe that ships with trained weights; it stands for its Keras model and for
    the files that `zoo export` made of it. FILE is such a file.

    Models are measured one at a time, in rounds, each in a new process with random images. Latency is the time of a
    call of predict in the fastest round; spread is the range of the rounds' medians. Accuracy is the recorded test
    accuracy, or, with --data-dir, that on the test images found there. Peak memory is the resident memory of the whole
    process.

    If a model fails, the others are still measured and the exit status is 1.

    \b
    Examples:
      zoo bench fashion-cnn resnet-20
      zoo bench runs/first --threads 1 --plot bench.png
      zoo bench model.onnx model-int8.onnx --batch-size 1 --seconds 5 --json
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv cannot be combined. Pass only one of them.")
    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise click.BadParameter(f"{str(plot)!r} does not end with .png. Give a PNG file.", param_hint="'--plot'")
        check_writable(plot)
    session: Any = ctx.obj

    def say(line: str) -> None:
        if not quiet:
            click.echo(printable(line), err=True)

    with contextlib.redirect_stdout(sys.stderr):  # keep what a plugin prints out of our output
        report = benchmark(
            *models,
            batch_sizes=batch_sizes,
            seconds=seconds,
            rounds=rounds,
            threads=threads,
            data_dir=data_dir,
            plugin_files=session.plugin_files,
            progress=say,
            registry=session.registry,
        )
    _show(report, as_json=as_json, as_csv=as_csv)
    if plot is not None:
        _plot(report, plot, is_measured=data_dir is not None)
    if report.has_faults:
        ctx.exit(1)


def _show(report: Report, *, as_json: bool, as_csv: bool) -> None:
    from zoo_bench.showing import as_csv as csv_text
    from zoo_bench.showing import as_table

    if as_json:
        echo_json(msgspec.to_builtins(report))
    else:
        click.echo(csv_text(report) if as_csv else as_table(report), nl=not as_csv)


def _plot(report: Report, path: Path, *, is_measured: bool) -> None:
    from zoo_bench.latency_plot import draw, points_of

    points, left_out = points_of(report)
    if left_out:
        cure = "" if is_measured else " --data-dir measures the accuracy."
        click.echo(
            f"Not in the plot, because their accuracy or latency is unknown: {printable(', '.join(left_out))}.{cure}",
            err=True,
        )
    if points:
        write_file(path, draw(points, report))
