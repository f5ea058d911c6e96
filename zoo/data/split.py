"""Hold out validation examples from the training examples."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zoo.data.examples import Subset
from zoo.errors import SettingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Split


def cut_validation(split: Split, count: int) -> Split:
    """Return a split with validation examples: its own, or ``count`` held-out training examples.

    The selection is random but fixed: it does not depend on the run's seed, so the validation metrics of different runs
    are measured on the same images.

    Raises:
        SettingError: No training examples would be left.
    """
    import numpy as np

    if split.validation is not None or count == 0:
        return split
    if count >= len(split.train):
        raise SettingError(
            f"Setting 'validation' leaves none of the {len(split.train)} training images to train on. Choose a smaller "
            f"number with --set validation=N, or 0 for none. Received: validation={count}",
            name="validation",
            value=count,
        )
    order = np.random.default_rng(0).permutation(len(split.train))
    return _divided(split, np.sort(order[count:]), np.sort(order[:count]))


def _divided(split: Split, train: NDArray[np.intp], validation: NDArray[np.intp]) -> Split:
    """Return a split whose training and validation examples are these training examples of another."""
    ids, groups = split.train_ids, split.train_groups
    return replace(
        split,
        train=Subset(split.train, train),
        validation=Subset(split.train, validation),
        train_ids=tuple(ids[i] for i in train) if ids else (),
        validation_ids=tuple(ids[i] for i in validation) if ids else (),
        train_groups=tuple(groups[i] for i in train) if groups else (),
    )
