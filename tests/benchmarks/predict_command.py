"""Whole seconds of `zoo predict` for one image, with a recipe's Keras model and with its exported file.

Usage: python -m tests.benchmarks.predict_command [--recipe fashion-cnn] [--rounds 5]

Prints a Markdown table of medians; the commands take turns, each in a process of its own.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from PIL import Image

import zoo


@click.command(help=__doc__)
@click.option("--recipe", default="fashion-cnn", show_default=True)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1))
def main(recipe: str, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        Image.new("L", (300, 400), 200).save(picture)
        (exported,) = zoo.export(recipe, out=folder)
        models = {"the Keras model": recipe, "the ONNX file": str(exported.path)}
        seconds: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(rounds + 1):
            for name, model in models.items():
                seconds[name].append(run(model, picture))
    print("| `zoo predict` of one image with | seconds |\n|---|---|")
    for name, several in seconds.items():
        rest = several[1:]  # the first reads files that are not in the cache
        print(f"| {name} | {statistics.median(rest):.2f} ({min(rest):.2f} to {max(rest):.2f}) |")


def run(model: str, picture: Path) -> float:
    """Return the seconds that the command takes."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "zoo", "predict", model, str(picture)]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
