"""The dataset ``digits``: 1,797 handwritten digits, 8x8 grayscale, ten classes.

Alpaydin and Kaynak: "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998; its test part,
which scikit-learn includes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from zoo import DataError, Dataset, ImageInput, Split
from zoo.utils import missing_extra
from zoo_images.arrays.labeled import Labeled
from zoo_images.splitting import Share  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    from pathlib import Path

_TEST = 0.2
_BRIGHTEST = 16  # maximum pixel value in scikit-learn's copy


@dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """Handwritten digits, light on dark.

    Mirrored digits are different symbols: train without the augmentation ``flip`` and without ``trainer.flip_tta``.

    Args:
        validation_share: Share of the training images used for validation; 0 leaves the split to the recipe.
    """

    validation_share: Share = 0.1
    is_mirrorable = False

    @property
    def image_input(self) -> ImageInput:
        """Preprocessing of new images: trimmed, since the digits fill their box, and light on dark."""
        return ImageInput(crop="pad", background=0, inverted=True, trimmed=True)

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `zoo.DataError` if a folder is passed, `zoo.PluginError` if scikit-learn is not installed."""
        if find_spec("sklearn") is None:
            raise missing_extra("Dataset 'digits'", "digits", "no module named 'sklearn'")
        if data_dir is not None:
            raise DataError(
                "Dataset 'digits' is included in scikit-learn and reads no folder. Leave out data_dir, or use "
                "`zoo run ... --dataset image-folder` for your own images, one folder per class. "
                f"Received: data_dir={str(data_dir)!r}",
                path=data_dir,
            )

    def load(self, data_dir: Path | None) -> Split:
        """Return the digits, with a fixed fifth of each class for testing.

        Raises:
            DataError: A folder is passed.
            PluginError: scikit-learn is not installed.
        """
        import numpy as np

        self.check_data_dir(data_dir)
        from sklearn.datasets import load_digits

        bunch = load_digits()
        images = np.rint(bunch.images * (255 / _BRIGHTEST)).astype(np.uint8)[..., None]
        labels = bunch.target.astype(np.int64)
        labeled = Labeled(images, labels, tuple(map(str, range(10))), "the digits")
        digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
        return labeled.split_off(_TEST, self.validation_share, digests={"digits": digest})
