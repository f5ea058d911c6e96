"""Where the seconds of `zoo test` and `zoo predict` go: imports, building the model, compiling, predicting.

Usage: python -m tests.benchmarks.answers [--rounds 5]

Prints a Markdown table of medians, each round in a process of its own. "First batch" has the compilation of the
prediction in it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

import click


def parts_of(recipe: str, count: int) -> dict[str, float]:
    """Return the seconds of each part of predicting so many test images, in this process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    seconds = {}
    started = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal started
        seconds[name] = time.perf_counter() - started
        started = time.perf_counter()

    import zoo

    registry = zoo.load_registry()
    run = zoo.open_run(recipe, registry=registry)
    lap("zoo, plugins and the run's record")
    import numpy as np

    lap("import of NumPy")
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    __import__(backend)
    lap(f"import of the backend, {backend}")
    import keras  # noqa: F401  # for its effect

    lap("import of Keras")
    loaded = zoo.load(recipe, registry=registry)
    lap("model and weights")
    split = zoo.load_data(run, registry=registry)
    images, _ = split.test[np.arange(count)]
    lap("data")
    first = min(count, 500)
    loaded.predict(images[:first])
    lap(f"first batch, {first} image{'s' if first > 1 else ''}")
    if count > first:
        loaded.predict(images[first:])
        lap(f"the other {count - first:,} images")
    return seconds


@click.command(help=__doc__)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1))
@click.option("--child", hidden=True, type=int)
def main(rounds: int, child: int | None) -> None:
    """Measure one image and all test images, and print the tables."""
    if child is not None:
        print(json.dumps(parts_of("fashion-cnn", child)))
        return
    for title, count in (("One image, as `zoo predict`", 1), ("10,000 images, as `zoo test`", 10_000)):
        command = [sys.executable, "-m", "tests.benchmarks.answers", "--child", str(count)]
        several = [
            json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
            for _ in range(rounds + 1)
        ][1:]
        click.echo(f"| {title} | seconds |\n|---|---|")
        for name in several[0]:
            click.echo(f"| {name} | {statistics.median(each[name] for each in several):.2f} |")
        click.echo(f"| all | {statistics.median(sum(each.values()) for each in several):.2f} |\n")


if __name__ == "__main__":
    main()
