"""A small recipe on real images, and a registry that has it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from zoo_fashion.dataset import FashionMnist

import zoo
from zoo import ArrayExamples, Dataset, Entry, Recipe, Registry, Split


@functools.cache
def shipped() -> Split:
    """Return all of Fashion-MNIST; to unpack it for every run would take a tenth of the time."""
    return FashionMnist().load(None)


@dataclass(frozen=True, kw_only=True)
class FashionSlice(Dataset):
    """The first images of Fashion-MNIST."""

    train: int = 600
    test: int = 200

    def load(self, data_dir: Path | None) -> Split:
        whole = shipped() if data_dir is None else FashionMnist().load(data_dir)
        return Split(
            train=ArrayExamples(*whole.train[np.arange(self.train)]),
            test=ArrayExamples(*whole.test[np.arange(self.test)]),
            class_names=whole.class_names,
            digests=whole.digests,
        )


SMALL = Recipe(
    name="small",
    summary="A narrow reference network on a slice of Fashion-MNIST.",
    dataset="slice",
    model="fashion-cnn",
    trainer="fit",
    epochs=2,
    batch_size=32,
    validation=100,
    settings={"model.widths": (4, 8, 8), "model.dense_width": 16, "optimizer.learning_rate": 3e-3},
)


def make_registry() -> Registry:
    """Return a registry with our plugins, the slice and the small recipe."""
    registry = zoo.load_registry({"ZOO_PLUGINS": ""})
    registry.datasets.add(Entry(name="slice", target=FashionSlice, summary="800 real images."))
    registry.recipes.add(SMALL)
    return registry
