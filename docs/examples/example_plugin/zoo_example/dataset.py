"""A dataset is an object with `load`. A dataclass's fields are its settings."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo import ArrayExamples, Dataset, Split


@dataclass(frozen=True, kw_only=True)
class Stripes(Dataset):
    """Noisy stripes, across or down."""

    size: int = 12
    noise: float = 40.0

    def load(self, data_dir: Path | None) -> Split:
        return Split(train=self._make(500, seed=1), test=self._make(200, seed=2), class_names=("across", "down"))

    def _make(self, count: int, seed: int) -> ArrayExamples:
        generator = np.random.default_rng(seed)
        labels = generator.integers(0, 2, size=count)
        stripes = np.where(np.arange(self.size) % 4 < 2, 60.0, 190.0)
        across = np.broadcast_to(stripes[:, None], (self.size, self.size))
        images = np.where(labels[:, None, None] == 0, across, across.T)
        images = images + generator.normal(0, self.noise, size=images.shape)
        return ArrayExamples(images.clip(0, 255).astype(np.uint8)[..., None], labels)
