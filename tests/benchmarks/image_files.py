"""Image files read per second: ours beside torchvision's ``ImageFolder`` with a ``DataLoader`` and Keras's loader.

``python -m tests.benchmarks.image_files 6000`` generates photographs of 500x375 pixels in ten folders and reads them in
random order, in batches of 64, scaled to 64x64 and to 224x224: a first and a second epoch, as a training would, but
without a model. The first epoch includes everything since the folder was named; ours decodes each file once to check
it. Each contender has processes of its own, one after another in each of several rounds; the medians are printed.

Needs torch and torchvision (extra ``bench``).
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .machine import Machine

WIDTH, HEIGHT = 500, 375
BATCH = 64
CLASSES = 10
ROUNDS = 3
SIZES = (64, 224)

Epoch = Callable[[], Iterator[Any]]


def write_photographs(root: Path, files: int) -> None:
    """Write JPEG files of smooth shapes and noise, in ``train``, and one of each class in the other parts."""
    random = np.random.default_rng(0)
    for i in range(-2 * CLASSES, files):
        part = "train" if i >= 0 else "validation" if i >= -CLASSES else "test"
        folder = root / part / f"class {i % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8)).resize((WIDTH, HEIGHT))
        noisy = np.asarray(coarse, np.int16) + random.integers(-14, 15, (HEIGHT, WIDTH, 1), np.int16)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.jpg", quality=90)


def ours(folder: Path, side: int) -> Epoch:
    """Return the epochs of dataset ``image-folder``, read ahead as trainer ``fit`` reads them."""
    from zoo_keras.batches import ShuffledBatches, as_fit_takes_them

    import zoo
    from zoo.data.loading import load_split
    from zoo.utils import keep_freed_memory

    keep_freed_memory()  # as every run does
    settings = {"dataset.size": (side, side)}
    recipe = zoo.prepare("fashion-cnn", dataset="image-folder", data_dir=folder, settings=settings).recipe
    train = load_split(recipe.dataset, folder).train
    numbers = iter(range(100))

    def epoch() -> Iterator[Any]:
        with as_fit_takes_them(ShuffledBatches(train, BATCH, (0, next(numbers)), CLASSES)) as batches:
            yield from batches

    return epoch


def of_torchvision(folder: Path, side: int) -> Epoch:
    """Return the epochs of `ImageFolder` and a `DataLoader` with a worker process per CPU."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    scaled = transforms.Compose([transforms.Resize(side), transforms.CenterCrop(side), transforms.ToTensor()])
    loader = DataLoader(
        datasets.ImageFolder(str(folder / "train"), scaled),
        batch_size=BATCH,
        shuffle=True,
        num_workers=len(os.sched_getaffinity(0)),
        persistent_workers=True,
    )
    return lambda: iter(loader)


def of_keras(folder: Path, side: int) -> Epoch:
    """Return the epochs of `keras.utils.image_dataset_from_directory`, cropped to the aspect ratio as ours."""
    import keras
    import tensorflow as tf

    images = keras.utils.image_dataset_from_directory(
        str(folder / "train"),
        image_size=(side, side),
        crop_to_aspect_ratio=True,
        interpolation="bicubic",
        batch_size=BATCH,
        shuffle=True,
        seed=0,
        verbose=False,
    )
    ahead = images.map(lambda image, label: (image / 255, label)).prefetch(tf.data.AUTOTUNE)
    return lambda: iter(ahead)


CONTENDERS = {"zoo image-folder": ours, "torchvision ImageFolder": of_torchvision, "Keras": of_keras}
IMPORTS = {
    "zoo image-folder": ("tensorflow", "zoo_keras.batches", "zoo_images.folders.folder"),
    "torchvision ImageFolder": ("torch", "torchvision.datasets"),
    "Keras": ("tensorflow", "keras"),
}


def measure(name: str, folder: Path, side: int) -> dict[str, float]:
    """Return images a second in the first and the second epoch, in this process, whose imports are not counted."""
    for module in IMPORTS[name]:
        importlib.import_module(module)
    started = time.perf_counter()
    epoch = CONTENDERS[name](folder, side)
    found: dict[str, float] = {}
    for which in ("first", "second"):
        count = sum(len(batch[0]) for batch in epoch())
        found[which] = count / (time.perf_counter() - started)
        started = time.perf_counter()
    return found


def main(files: int = 6_000) -> None:
    """Print the table."""
    print(Machine.measured().title)
    with tempfile.TemporaryDirectory() as temporary:
        write_photographs(Path(temporary), files)
        for side in SIZES:
            rounds: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
            for _ in range(ROUNDS):
                for name, several in rounds.items():
                    several.append(_in_process(name, temporary, side))
            for name, several in rounds.items():
                first, second = (statistics.median(each[key] for each in several) for key in ("first", "second"))
                print(f"{side}x{side}  {name:<24} first epoch {first:6.0f} images/s  second {second:6.0f} images/s")


def _in_process(name: str, folder: str, side: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.image_files", "--one", name, folder, str(side)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))
    else:
        main(*map(int, sys.argv[1:2]))
