"""Validation examples cut from training examples."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zoo.data.examples import Subset
from zoo.errors import SettingError

if TYPE_CHECKING:
    from zoo.interfaces import Split


def cut_validation(split: Split, count: int) -> Split:
    """Return a split with a validation part: its own, or ``count`` examples taken out of the training part.

    The cut is a fixed random one, the same in every run whatever its seed, so that validation metrics of
    several runs are about the same images.

    Raises:
        SettingError: Nothing would be left to train on.
    """
    import numpy as np

    if split.validation is not None or count == 0:
        return split
    if count >= len(split.train):
        raise SettingError(
            f"Setting 'validation' leaves nothing of {len(split.train)} training images: choose a smaller one, "
            f"--set validation=N, or 0 for none. Received: validation={count}"
        )
    order = np.random.default_rng(0).permutation(len(split.train))
    return replace(
        split,
        train=Subset(split.train, np.sort(order[count:])),
        validation=Subset(split.train, np.sort(order[:count])),
    )
