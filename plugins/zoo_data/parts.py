"""The parts of a dataset, and where an image is in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo import Split
    from zoo.interfaces import Examples

TRAIN, VALIDATION, TEST = "train", "validation", "test"
NAMES = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a dataset.

    Args:
        name: ``"train"``, ``"validation"`` or ``"test"``.
        examples: Its images and labels.
        ids: A name for each image.
    """

    name: str
    examples: Examples
    ids: Sequence[str]


def with_ids(split: Split) -> Split:
    """Return a split whose images all have names: those of the dataset, or such as ``train 17``, counted from 0.

    Call it before validation images are held out: these then keep the number that they have in the dataset.
    """

    def ids(name: str, found: tuple[str, ...], examples: Examples | None) -> tuple[str, ...]:
        return found or tuple(f"{name} {i}" for i in range(0 if examples is None else len(examples)))

    return replace(
        split,
        train_ids=ids(TRAIN, split.train_ids, split.train),
        validation_ids=ids(VALIDATION, split.validation_ids, split.validation),
        test_ids=ids(TEST, split.test_ids, split.test),
    )


def parts_of(split: Split) -> list[Part]:
    """Return the parts of a split that has names, without a validation part if it has none."""
    return list(_parts(split))


def _parts(split: Split) -> Iterator[Part]:
    yield Part(name=TRAIN, examples=split.train, ids=split.train_ids)
    if split.validation is not None:
        yield Part(name=VALIDATION, examples=split.validation, ids=split.validation_ids)
    yield Part(name=TEST, examples=split.test, ids=split.test_ids)
