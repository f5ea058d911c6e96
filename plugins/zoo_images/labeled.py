"""Arrays of images and labels as a split: checked, and cut where they come without test or validation part."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo import ArrayExamples, DataError, Split
from zoo.data import Subset, check_labels
from zoo_images.splitting import check_enough, cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


_MOST_CHANNELS = 4  # of images as people have them


class Labeled:
    """Images with labels and the names of their classes.

    Args:
        images: ``(n, height, width)`` or ``(n, height, width, channels)``, uint8.
        labels: ``(n,)`` or ``(n, 1)``, integers from 0.
        class_names: Names of the classes.
        source: What to call them in messages.

    Raises:
        DataError: There are none, they have other shapes or types, or there are labels that are no class.
    """

    def __init__(self, images: NDArray[Any], labels: NDArray[Any], class_names: tuple[str, ...], source: str) -> None:
        """Check and hold the arrays, without a copy."""
        images = images[..., None] if images.ndim == 3 else images
        if images.ndim == 4 and images.shape[1] in (1, 3) and min(images.shape[2:]) > _MOST_CHANNELS:
            raise DataError(
                f"{source}: images have their channels last, and these seem to have them first: turn them with "
                f"numpy.transpose(images, (0, 2, 3, 1)). Received: images.shape={images.shape}",
                path=source,
            )
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if labels.ndim == 2:
            raise DataError(
                f"{source}: a label is one number for each image: if these are rows with a 1 for the class, take "
                f"numpy.argmax(labels, axis=1). Received: labels.shape={labels.shape}",
                path=source,
            )
        try:
            self.examples = ArrayExamples(images, labels)
            if not len(labels):
                raise DataError(f"it holds no images. Received: images.shape={images.shape}")
            if labels.min() < 0:
                raise DataError(
                    "labels are the numbers of the classes, from 0, and there is none for images without a class: "
                    f"leave these out. Received: labels from {labels.min()} to {labels.max()}"
                )
            check_labels(labels, len(class_names))
        except DataError as error:
            raise DataError(f"{source}: {error}", path=source) from error
        self.class_names = class_names
        self.source = source

    def cut(
        self,
        test_share: float,
        validation_share: float,
        *,
        digests: Mapping[str, str],
        validation: Labeled | None = None,
    ) -> Split:
        """Return a split: of each class, a share for testing, and one for validation if no other images are.

        Which images are for testing is in the split's digests, too: figures about others are not comparable.

        Raises:
            DataError: A class has too few images, or those for validation have another size.
        """
        import numpy as np

        self._check_size(validation)
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
        return self._with_validation(split, rest, validation_share) if is_cut else split

    def beside(
        self, test: Labeled, validation: Labeled | None, validation_share: float, *, digests: Mapping[str, str]
    ) -> Split:
        """Return a split with these for training.

        Raises:
            DataError: There is no validation part, and a class has too few images to cut one; or images of another part
                have another size.
        """
        import numpy as np

        self._check_size(test)
        self._check_size(validation)
        is_cut = validation is None and validation_share > 0
        self._check_labels(["validation"] if is_cut else [])
        split = Split(
            train=self.examples,
            test=test.examples,
            validation=None if validation is None else validation.examples,
            class_names=self.class_names,
            digests=dict(digests),
        )
        return self._with_validation(split, np.arange(len(self.examples)), validation_share) if is_cut else split

    def _check_size(self, other: Labeled | None) -> None:
        """Raise `DataError` if others have another size: before training, not after it."""
        if other is not None and (size := other.examples.images.shape[1:]) != self.examples.images.shape[1:]:
            raise DataError(
                f"{other.source}: images must have the size {self.examples.images.shape[1:]}, height, width and "
                f"channels, as those for training. Received: {size}"
            )

    def _with_validation(self, split: Split, within: NDArray[np.intp], share: float) -> Split:
        validation, rest = self._parts(share, "validation", within)
        return replace(split, train=Subset(self.examples, rest), validation=Subset(self.examples, validation))

    def _check_labels(self, parts: list[str]) -> None:
        """Raise `DataError` unless there are images of every class: for training, and for parts that are cut out."""
        import numpy as np

        labels = self.examples.labels
        if missing := sorted(set(range(len(self.class_names))) - set(np.unique(labels).tolist())):
            hint = "do labels begin at 1? " if labels.min() == 1 else ""
            raise DataError(
                f"{self.source}: no image has label {missing[0]}: {hint}Labels are 0, 1, 2 and so on, and each class "
                "has images: numpy.unique(labels, return_inverse=True)[1] numbers labels so. "
                f"Received: labels from {labels.min()} to {labels.max()}, {len(np.unique(labels))} different"
            )
        try:
            check_enough(labels, np.arange(len(labels), dtype=np.uint64), self.class_names, parts)
        except DataError as error:
            raise DataError(f"{self.source}: {error}") from error

    def _parts(self, share: float, part: str, within: NDArray[np.intp] | None = None) -> list[NDArray[np.intp]]:
        import numpy as np

        within = np.arange(len(self.examples)) if within is None else within
        labels = self.examples.labels[within]
        # fixed: metrics of several runs are about the same images
        ranks = np.random.default_rng(0).permutation(len(within)).astype(np.uint64)
        try:
            return [within[each] for each in cut(labels, ranks, self.class_names, share, part)]
        except DataError as error:
            raise DataError(f"{self.source}: {error}") from error
