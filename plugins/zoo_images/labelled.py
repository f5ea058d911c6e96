"""Arrays of images and labels as a split: checked, and cut where they come without test or validation part."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo import ArrayExamples, DataError, Split, Subset, check_labels
from zoo_images.cut import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


class Labelled:
    """Images with labels and the names of their classes.

    Args:
        images: ``(n, height, width)`` or ``(n, height, width, channels)``, uint8.
        labels: ``(n,)``, integers from 0.
        class_names: Names of the classes.
        source: What to call them in messages.

    Raises:
        DataError: They have other shapes or types, or there are labels that are no class.
    """

    def __init__(self, images: NDArray[Any], labels: NDArray[Any], class_names: tuple[str, ...], source: str) -> None:
        """Check and hold the arrays, without a copy."""
        images = images[..., None] if images.ndim == 3 else images
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        try:
            self.examples = ArrayExamples(images, labels)
            if len(labels):
                check_labels(labels, len(class_names))
        except DataError as error:
            raise DataError(f"{source}: {error}") from error
        self.class_names = class_names

    def cut(self, test_share: float, validation_share: float, *, digests: Mapping[str, str]) -> Split:
        """Return a split of them all: of each class, shares for testing and validation.

        Which images are for testing is in the split's digests, too: figures about others are not comparable.

        Raises:
            DataError: A class has too few images.
        """
        import numpy as np

        test, rest = self._parts(test_share)
        tested = np.ascontiguousarray(self.examples.images[test])
        split = Split(
            train=Subset(self.examples, rest),
            test=Subset(self.examples, test),
            class_names=self.class_names,
            digests={**digests, "test": hashlib.sha256(tested.data).hexdigest()},
        )
        return split if not validation_share else self._with_validation(split, rest, validation_share)

    def beside(
        self, test: Labelled, validation: Labelled | None, validation_share: float, *, digests: Mapping[str, str]
    ) -> Split:
        """Return a split with these for training.

        Raises:
            DataError: There is no validation part, and a class has too few images to cut one.
        """
        import numpy as np

        split = Split(
            train=self.examples,
            test=test.examples,
            validation=None if validation is None else validation.examples,
            class_names=self.class_names,
            digests=dict(digests),
        )
        if validation is not None or not validation_share:
            return split
        return self._with_validation(split, np.arange(len(self.examples)), validation_share)

    def _with_validation(self, split: Split, within: NDArray[np.intp], share: float) -> Split:
        validation, rest = self._parts(share, within)
        return replace(split, train=Subset(self.examples, rest), validation=Subset(self.examples, validation))

    def _parts(self, share: float, within: NDArray[np.intp] | None = None) -> list[NDArray[np.intp]]:
        import numpy as np

        within = np.arange(len(self.examples)) if within is None else within
        # fixed: metrics of several runs are about the same images
        ranks = np.random.default_rng(0).permutation(len(within)).astype(np.uint64)
        return [within[part] for part in cut(self.examples.labels[within], ranks, self.class_names, share)]
