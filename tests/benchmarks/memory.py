"""What keeping freed memory is worth: page faults, seconds and peak memory of commands with it and without.

Usage: python -m tests.benchmarks.memory [--rounds 3]

Prints a Markdown table; about three minutes a round on two cores. Commands that do not train keep nothing by
themselves: for them the settings are given to glibc through its own environment variables.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping

import click

from .whole import ZOO, Process, run_process

_BY_GLIBC = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
_OFF, _ARENA = {"ZOO_KEEP_MEMORY": "0"}, {"MALLOC_ARENA_MAX": "1"}
_TRAIN = ["train", "fashion-cnn", "--epochs", "1", "--quiet"]
_LARGE = [*_TRAIN, "--batch-size", "512"]
_TEST = ["test", "fashion-cnn", "--quiet"]

CASES: dict[str, tuple[list[str], Mapping[str, str]]] = {
    "`fit`, batches of 64, not kept": (_TRAIN, _OFF),
    "`fit`, batches of 64": (_TRAIN, {}),
    "`fit`, batches of 512, not kept": (_LARGE, _OFF),
    "`fit`, batches of 512": (_LARGE, {}),
    "`fit`, batches of 512, one arena": (_LARGE, _ARENA),
    "`zoo test fashion-cnn`": (_TEST, {}),
    "`zoo test fashion-cnn`, kept": (_TEST, _BY_GLIBC),
}


def measure(arguments: list[str], variables: Mapping[str, str]) -> Process:
    """Run a command once; what trains does so in a fresh folder."""
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", f"{folder}/run"] if arguments[0] == "train" else []
        return run_process([ZOO, *arguments, *out], variables)


@click.command(help=__doc__)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
def main(rounds: int) -> None:
    """Run all cases in turn and print their medians."""
    measured: dict[str, list[Process]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, (arguments, variables) in CASES.items():
            measured[name].append(measure(arguments, variables))
    click.echo("| | seconds | user | system | page faults | peak |\n|---|---|---|---|---|---|")
    for name, processes in measured.items():
        fields = ("seconds", "user", "system", "faults", "peak")
        medians = {field: statistics.median(getattr(each, field) for each in processes) for field in fields}
        click.echo(
            f"| {name} | {medians['seconds']:.1f} | {medians['user']:.1f} | {medians['system']:.1f} "
            f"| {medians['faults']:,.0f} | {medians['peak'] / 1e6:.0f} MB |"
        )


if __name__ == "__main__":
    main()
