"""The data of a run, as its record describes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from zoo.runs.fields import Images, Name, Setting, Size, Text  # noqa: TC001  # msgspec evaluates them

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_VALUES = 1 << 26
"""Maximum number of values in an image, all channels together."""
MOST_NAMES = 100
"""Maximum number of names of skipped files in a record."""
_NAMED = 5  # maximum number of names in a message


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base class of records. Unknown keys are refused."""


class SkippedFiles(_Record, frozen=True, kw_only=True):
    """Unusable files that were left out: their number, and the names of the first `MOST_NAMES`."""

    count: Images
    names: list[Text]


class DataRecord(_Record, frozen=True, kw_only=True):
    """The data of a run.

    Args:
        train: Number of training examples.
        validation: Number of validation examples.
        test: Number of test examples.
        input_shape: Height, width and channels of an image.
        class_names: Names of the classes.
        digests: Digests of the data, keyed by file name or by a description of the content.
        skipped_files: Files that could not be used; None if there were none, or if unknown, as in older records.
        settings: Values that loading found for settings of the dataset such as ``auto``; absent if there are none.
    """

    train: Images
    validation: Images
    test: Images
    input_shape: tuple[Size, Size, Size]
    class_names: list[Name]
    digests: dict[Text, Name]
    skipped_files: SkippedFiles | None = None
    settings: dict[Name, Setting] | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        """Refuse images that are too large."""
        if math.prod(self.input_shape) > MOST_VALUES:
            raise ValueError(f"images have at most {MOST_VALUES:,} values. Received: input_shape={self.input_shape}")

    def differences(self, other: DataRecord) -> list[str]:
        """Return short descriptions of how other data differ from these. Skipped files are not compared."""
        told = []
        for part, name in (("train", "training"), ("validation", "validation"), ("test", "test")):
            if (was := getattr(self, part)) != (now := getattr(other, part)):
                told.append(f"{now:,} {name} images, not {was:,}")
        if self.input_shape != other.input_shape:
            told.append(f"images {other.input_shape}, not {self.input_shape}")
        if self.class_names != other.class_names:
            told.append("different classes")
        if names := differing_names(self.digests, other.digests):
            told.append(f"different digests: {names}")
        return told


def differing_names(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Return the first few names whose values differ between two mappings: ``"a.npz, b.npz"``."""
    names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
