"""Turns arrays of images and labels into a split: checks them, and cuts missing test or validation images."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo import ArrayExamples, DataError, Split
from zoo.data import Subset, check_labels
from zoo_images.arrays.duplicates import image_digests
from zoo_images.copies import first_copies
from zoo_images.grouping import joint_groups
from zoo_images.splitting import check_enough_images, split_off

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Examples


class Labeled:
    """Images with labels and class names. ``digests`` has a digest of each image.

    Args:
        images: ``(n, height, width, channels)``, uint8.
        labels: ``(n,)``, integers from 0.
        class_names: Names of the classes.
        source: Name of the images and labels in error messages.
        path: File or folder that they are read from, for errors; None if there is none.

    Raises:
        DataError: There are no images, the arrays have invalid shapes or types, or a label is out of range.
    """

    def __init__(
        self,
        images: NDArray[Any],
        labels: NDArray[Any],
        class_names: tuple[str, ...],
        source: str,
        path: Path | None = None,
    ) -> None:
        """Check and store the arrays, without a copy."""
        try:
            self.examples = ArrayExamples(images, labels)
            if not len(labels):
                raise DataError(f"There are no images. Add some of every class. Received: images.shape={images.shape}")
            if labels.min() < 0:
                raise DataError(
                    "Labels must not be negative. Number the classes from 0, and remove images without a class. "
                    f"Received: labels from {labels.min()} to {labels.max()}"
                )
            check_labels(labels, len(class_names))
        except DataError as error:
            raise DataError(f"{source}: {error}", path=path) from error
        self.digests = image_digests(images)
        self._copies = first_copies(self.digests)
        self.class_names = class_names
        self.source = source
        self.path = path

    def split_off(
        self,
        test_share: float,
        validation_share: float,
        *,
        digests: Mapping[str, str],
        validation: Labeled | None = None,
    ) -> Split:
        """Return a split with a share of each class for testing, and one for validation if no images are given for it.

        The split's digests include the test images, because metrics on different test images are not comparable.

        Raises:
            DataError: A class has too few images.
        """
        import numpy as np

        is_cut = validation is None and validation_share > 0
        self._check_labels(["test", "validation"] if is_cut else ["test"])
        test, rest = self._parts(test_share, "test")
        tested = np.ascontiguousarray(self.examples.images[test])
        split = Split(
            train=Subset(self.examples, rest),
            test=Subset(self.examples, test),
            validation=None if validation is None else validation.examples,
            class_names=self.class_names,
            digests={**digests, "test": hashlib.sha256(tested.data).hexdigest()},
        )
        split = self._with_validation(split, rest, validation_share) if is_cut else split
        return self._with_groups(split, validation)

    def beside(
        self, test: Labeled, validation: Labeled | None, validation_share: float, *, digests: Mapping[str, str]
    ) -> Split:
        """Return a split with these images for training.

        Raises:
            DataError: A class has no images, or too few to split off validation images.
        """
        import numpy as np

        is_cut = validation is None and validation_share > 0
        self._check_labels(["validation"] if is_cut else [])
        split = Split(
            train=self.examples,
            test=test.examples,
            validation=None if validation is None else validation.examples,
            class_names=self.class_names,
            digests=dict(digests),
        )
        split = self._with_validation(split, np.arange(len(self.examples)), validation_share) if is_cut else split
        return self._with_groups(split, validation)

    def _with_groups(self, split: Split, validation: Labeled | None) -> Split:
        """Return a split with groups of copies, if there are any among its training and validation images."""
        import numpy as np

        digests = {"train": self._digests_of(split.train), "validation": self._digests_of(split.validation)}
        if validation is not None:
            digests["validation"] = validation.digests
        several = [*digests["train"], *digests["validation"]]
        parts = {
            "train": np.arange(len(digests["train"])),
            "validation": np.arange(len(digests["train"]), len(several)),
        }
        return replace(split, **joint_groups(several, [], parts))

    def _digests_of(self, examples: Examples | None) -> list[bytes]:
        """Return the digests of images of this object."""
        if isinstance(examples, Subset):
            return [self.digests[i] for i in examples.indices]
        return self.digests if examples is self.examples else []

    def _with_validation(self, split: Split, within: NDArray[np.intp], share: float) -> Split:
        validation, rest = self._parts(share, "validation", within)
        return replace(split, train=Subset(self.examples, rest), validation=Subset(self.examples, validation))

    def _check_labels(self, parts: list[str]) -> None:
        """Raise `DataError` unless every class has images for training and for each split that is made."""
        import numpy as np

        labels = self.examples.labels
        if missing := sorted(set(range(len(self.class_names))) - set(np.unique(labels).tolist())):
            hint = "Do labels start at 1? " if labels.min() == 1 else ""
            raise DataError(
                f"{self.source}: No image has label {missing[0]}. {hint}Number the classes that have images 0, 1, 2 "
                "and so on, for example with numpy.unique(labels, return_inverse=True)[1]. "
                f"Received: labels from {labels.min()} to {labels.max()}, {len(np.unique(labels))} different",
                path=self.path,
            )
        try:
            check_enough_images(labels, self._copies.astype(np.uint64), self.class_names, parts)
        except DataError as error:
            raise DataError(f"{self.source}: {error}", path=self.path) from error

    def _parts(self, share: float, part: str, within: NDArray[np.intp] | None = None) -> list[NDArray[np.intp]]:
        import numpy as np

        within = np.arange(len(self.examples)) if within is None else within
        labels = self.examples.labels[within]
        # fixed seed: metrics of different runs are on the same images
        ranks = np.random.default_rng(0).permutation(len(within)).astype(np.uint64)
        # copies get the rank of the first of them, and so stay together
        _, first, which = np.unique(self._copies[within], return_index=True, return_inverse=True)
        ranks = ranks[first[which]]
        try:
            return [within[each] for each in split_off(labels, ranks, self.class_names, share, part)]
        except DataError as error:
            raise DataError(f"{self.source}: {error}", path=self.path) from error
