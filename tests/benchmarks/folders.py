"""Peak memory of a run on a folder of generated photographs, beside one on a tenth of them.

``python -m tests.benchmarks.folders 2000`` compares 2,000 with 20,000 training files. They are brought to 96x96 pixels
in color: 20,000 of them would take 550 MB, if they were held in memory. Validation and test part have 500 files each
in both, a full batch: the network takes more memory for 500 images than for 50, wherever they come from.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from .whole import ZOO, Target, run_process

SIDE = 96
CLASSES = 10
FILES = 500
EVALUATED = 500
_OPTIONS = ("--epochs", "1", "--batch-size", "64", "--set", "model.widths=4,8,8", "--set", "model.dense_width=16")


def memory_of_folders(files: int = FILES, times: int = 10) -> Target:
    """Peak memory of a run of one epoch on a folder, beside a run on one with a tenth of the files."""
    peaks = {count: _peak(count) / 1e6 for count in (files, times * files)}
    return Target(
        what=f"image-folder with {times * files:,} training files, peak memory",
        beside=f"{files:,} training files",
        ours=peaks[times * files],
        theirs=peaks[files],
        unit="MB",
        limit=1.1,
    )


def _peak(files: int) -> int:
    """Return the most bytes of memory that training, saving, loading and testing takes."""
    with tempfile.TemporaryDirectory() as folder:
        for part, count in {"train": files, "validation": EVALUATED, "test": EVALUATED}.items():
            write_photographs(Path(folder) / "photos" / part, count)
        data = ["--dataset", "image-folder", "--data-dir", f"{folder}/photos", "--set", f"dataset.size={SIDE},{SIDE}"]
        return run_process([ZOO, "run", "fashion-cnn", *data, *_OPTIONS, "--out", f"{folder}/run", "--quiet"]).peak


def write_photographs(root: Path, files: int) -> None:
    """Write JPEG files of smooth noise, larger than they are trained on, as many of each class."""
    random = np.random.default_rng(0)
    for i in range(files):
        folder = root / f"class {i % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
        coarse.resize((SIDE * 4 // 3, SIDE)).save(folder / f"{i}.jpg", quality=85)


if __name__ == "__main__":
    target = memory_of_folders(*map(int, sys.argv[1:2]))
    print(
        f"{target.what}: {target.ours:.0f} {target.unit}; {target.beside}: {target.theirs:.0f} {target.unit}; "
        f"{target.ratio:.3f} times, at most {target.limit}"
    )
