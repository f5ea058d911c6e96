"""Every registered model on every registered dataset: a few steps, and finite metrics.

A model or dataset that any of our plugins registers is in the matrix by itself. A dataset that reads a folder needs a
maker below.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.io import savemat

import zoo
from tests.support.small_models import SETTINGS
from tests.support.small_recipe import SMALL, make_registry
from zoo import ArrayExamples, DataError, Dataset, Entry, Registry, Split
from zoo.interfaces import Examples
from zoo.registry import catalog

OURS = zoo.load_registry({"ZOO_PLUGINS": ""})
MODELS = [found.qualified_name for found in OURS.models]
DATASETS = [found.qualified_name for found in OURS.datasets]
LARGE = "backbones/"  # networks for images of at least 32x32 pixels

COLORED = np.random.default_rng(0).integers(0, 256, (60, 13, 9, 3), np.uint8)
LABELS = np.arange(60, dtype=np.uint8) % 3


def write_files(folder: Path) -> None:
    """Write a folder of PNG files for each of three classes."""
    for number, (image, label) in enumerate(zip(COLORED, LABELS, strict=True)):
        (folder / f"class {label}").mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"class {label}" / f"{number}.png")


def write_arrays(folder: Path) -> None:
    """Write a file of arrays."""
    np.savez(folder / "three-classes.npz", images=COLORED, labels=LABELS)


def write_idx(folder: Path) -> None:
    """Write four IDX files of gray images."""
    for part in ("train", "t10k"):
        for kind, array in (("images-idx3", COLORED[..., 0]), ("labels-idx1", LABELS)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            array = array ^ (part == "t10k") if kind == "images-idx3" else array  # no copies
            (folder / f"{part}-{kind}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())


def write_table(folder: Path) -> None:
    """Write PNG files, and a table with the class of each."""
    rows = [f"{number}.png,class {label}" for number, label in enumerate(LABELS)]
    (folder / "labels.csv").write_text("\n".join(["filename,label", *rows, ""]))
    for number, image in enumerate(COLORED):
        Image.fromarray(image).save(folder / f"{number}.png")


def write_cifar(folder: Path) -> None:
    """Write the files of CIFAR-10, with an image of each class in each."""
    images = np.random.default_rng(0).integers(0, 256, (10, 3 * 32 * 32), np.uint8)
    for i, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        records = np.concatenate([np.arange(10, dtype=np.uint8)[:, None], images ^ i], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())


def write_svhn(folder: Path) -> None:
    """Write the MAT files of SVHN, with images of another size."""
    digits = np.arange(1, 61)[:, None] % 10
    for i, name in enumerate(("train", "test")):
        pixels = (COLORED ^ i).transpose(1, 2, 3, 0)
        savemat(folder / f"{name}_32x32.mat", {"X": pixels, "y": digits}, do_compression=True)


FOLDERS: Mapping[str, Callable[[Path], None]] = {
    "images/cifar": write_cifar,
    "images/idx": write_idx,
    "images/image-folder": write_files,
    "images/npz": write_arrays,
    "images/table": write_table,
    "images/svhn": write_svhn,
}
"""What fills an empty folder with a few examples, for each dataset that does not ship with its plugin."""


@dataclass(frozen=True, kw_only=True)
class Few(Dataset):
    """A dataset of which few examples are left, and each pixel repeated so many times in both directions."""

    split: Split
    scale: int = 1

    def load(self, data_dir: Path | None) -> Split:
        """Return 24 examples to train on and 8 to test on, from all over the data."""
        return Split(
            train=some(self.split.train, 24, self.scale),
            test=some(self.split.test, 8, self.scale),
            class_names=self.split.class_names,
        )


def some(examples: Examples, count: int, scale: int) -> ArrayExamples:
    """Return so many examples, or all if there are fewer, scaled."""
    images, labels = examples[np.linspace(0, len(examples) - 1, min(count, len(examples))).astype(int)]
    return ArrayExamples(images.repeat(scale, axis=1).repeat(scale, axis=2), labels)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Split]:
    """Return a function that loads a dataset, once."""

    @functools.cache
    def load_once(name: str) -> Split:
        folder = None
        if name in FOLDERS:
            folder = tmp_path_factory.mktemp("data")
            FOLDERS[name](folder)
        try:
            split: Split = catalog.resolve(OURS.datasets.get(name))().load(folder)
        except DataError as error:
            pytest.fail(f"{name} cannot be loaded: if it reads a folder, add a maker to FOLDERS. {error}")
        return split

    return load_once


@pytest.fixture
def eager() -> Iterator[None]:
    """Let TensorFlow compute step by step: to compile so many models takes longer than to train them."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


FEW = replace(
    SMALL, name="few", dataset="few", trainer="keras/resident", epochs=1, batch_size=8, validation=8, settings={}
)
"""The small recipe for few examples: two steps, and no settings, since the model is another."""


def registry_of(split: Split, scale: int) -> Registry:
    """Return a registry with that recipe for a dataset."""
    registry = make_registry()
    registry.datasets.add(Entry(name="few", target=lambda: Few(split=split, scale=scale), summary="A few examples."))
    registry.recipes.add(FEW)
    return registry


# the large networks on grayscale and color images, instead of on every dataset
CASES = [
    (model, dataset)
    for model in MODELS
    for dataset in DATASETS
    if not model.startswith(LARGE) or dataset in ("images/digits", "images/image-folder")
]


OTHERS = [dataset for dataset in DATASETS if dataset != "fashion/fashion-mnist"]


def marks_of(model: str, dataset: str) -> list[pytest.MarkDecorator]:
    """Return the mark of a case.

    In the slow tests, the smallest of the large networks stands for the others, and each other model is trained on
    every second dataset, so that half of the models are trained on each, and all on gray images and on colored ones.
    """
    if model.startswith(LARGE):
        return [pytest.mark.slow if model == f"{LARGE}mobilenet-v3-small" else pytest.mark.full]
    if dataset not in OTHERS:
        return []
    is_full = (OTHERS.index(dataset) + MODELS.index(model)) % 2
    return [pytest.mark.full if is_full else pytest.mark.slow]


@pytest.mark.parametrize(
    ("model", "dataset"),
    [pytest.param(*case, marks=marks_of(*case)) for case in CASES],
)
def test_model_trains_on_dataset(
    model: str, dataset: str, load: Callable[[str], Split], eager: None, tmp_path: Path
) -> None:
    split = load(dataset)
    height, width, channels = split.train[np.arange(1)][0].shape[1:]
    scale = -(-32 // min(height, width)) if model.startswith(LARGE) else 1
    small = SETTINGS.get(model.partition("/")[2], {})
    run = zoo.train(
        "few",
        model=model,
        settings={f"model.{name}": value for name, value in small.items()},
        registry=registry_of(split, scale),
        out=tmp_path / "run",
    )
    assert run.record.status == "trained"
    (epoch,) = run.record.history
    assert epoch.validation is not None
    assert np.isfinite([epoch.train.loss, epoch.validation.loss]).all()
    assert run.record.data.input_shape == (scale * height, scale * width, channels)
    assert tuple(run.record.data.class_names) == split.class_names


def test_folders_are_of_data_sets_that_there_are() -> None:
    assert set(FOLDERS) <= set(DATASETS)
