"""Image files that cannot be used: refused, or skipped and reported."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING
from unicodedata import normalize

from zoo import DataError
from zoo.errors import ZooWarning
from zoo.images import shown
from zoo_images.folders.directories import LINK_CURE
from zoo_images.folders.listing import IS_LINK
from zoo_images.split_names import SPLIT_OF

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo_images.folders.listing import Listing
    from zoo_images.folders.scanning import Scan

_NAMED = 5  # bad files named in a message
_NAMED_OF_MANY = 2  # the same, of a class or split that has no others


def refuse_or_report(listing: Listing, scanned: Scan, *, skip_bad: bool) -> None:
    """Raise `zoo.DataError` if files cannot be used, or only warn with ``skip_bad``."""
    bad = bad_files(listing, scanned)
    if not bad:
        return
    told = [_told(name, reason) for name, reason in bad]
    several = "; ".join(told[:_NAMED])
    more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    count = len(bad) + len(scanned.sound)
    if skip_bad:
        more += " (see `run.json`)" if more else ""
        text = f"Skipped {len(bad)} of {count} files in {shown(listing.root)}: {several}{more}."
        warnings.warn(text, ZooWarning, stacklevel=4)
        return
    more += " (--traceback lists them all)" if more else ""
    error = DataError(
        f"{len(bad)} of {count} files in {shown(listing.root)} cannot be used: {several}{more}. Fix or remove "
        f"them, or skip them with --skip-bad (dataset.skip_bad=true).{_link_cure(bad)}",
        path=listing.root,
    )
    error.add_note("\n".join(["", "All files that cannot be used:", *told]))  # shown at the end of a traceback
    raise error


def warn_without_classes(listing: Listing) -> None:
    """Warn about splits that are not used, because the classes of their images are unknown."""
    for part, name in listing.without_classes.items():
        folder = listing.root / name
        warnings.warn(
            f"{shown(folder)} has no folder of a class, so it is not used: the {part} images are split off from the "
            f"training images instead. Predict its images with `zoo predict RUN {shown(folder)}`.",
            ZooWarning,
            stacklevel=3,
        )


def check_none_lost(listing: Listing, scanned: Scan, labels: NDArray[np.int32]) -> None:
    """Raise `zoo.DataError` if a class, or a split that has files, has none that can be used."""
    for number, part in list(enumerate(listing.parts))[1:]:  # training images are those of classes
        if not any(listing.part_of[i] == number for i in scanned.sound):
            bad = _bad_of_part(listing, scanned, number)
            raise DataError(
                f"None of the {part} images in {shown(listing.source)} can be used"
                f"{_because(bad)} Fix or remove them: without any, the {part} images are split off from the others."
                f"{_link_cure(bad)}",
                path=listing.source,
            )
    for label, name in enumerate(listing.class_names):
        if not (labels == label).any():
            bad = _bad_of_class(listing, scanned, label)
            raise DataError(
                f"Class {name!r} in {shown(listing.source)} has no usable files{_because(bad)} Fix them, or remove the "
                f"class{'' if listing.table else ' folder'}.{_link_cure(bad)}",
                path=listing.source,
            )


def _because(bad: list[tuple[str, str]]) -> str:
    """Return the end of a sentence that names the first of some bad files."""
    told = f": {'; '.join(_told(*each) for each in bad[:_NAMED_OF_MANY])}" if bad else ""
    return f"{told}; and {len(bad) - _NAMED_OF_MANY} more." if len(bad) > _NAMED_OF_MANY else f"{told}."


def _link_cure(bad: list[tuple[str, str]]) -> str:
    return f" To use linked files, {LINK_CURE}." if any(IS_LINK in reason for _, reason in bad) else ""


def _bad_of_part(listing: Listing, scanned: Scan, part: int) -> list[tuple[str, str]]:
    """Return the names of the files of a split that cannot be used, and why."""
    found = [(listing.names[i], reason) for i, reason in scanned.bad if listing.part_of[i] == part]
    found += [each for each, its in zip(listing.bad, listing.bad_part_of, strict=False) if its == part]
    if listing.table is None:
        found += [
            each for each in listing.bad if SPLIT_OF.get(each[0].split(os.sep)[0].casefold()) == listing.parts[part]
        ]
    return sorted(found)


def _bad_of_class(listing: Listing, scanned: Scan, label: int) -> list[tuple[str, str]]:
    """Return the names of the files of a class that cannot be used, and why; with a table, only of those it could list.

    Files that were not listed have no label, but are in the folder of their class.
    """
    found = [(listing.names[i], reason) for i, reason in scanned.bad if listing.labels[i] == label]
    if listing.table is None:
        name = listing.class_names[label]
        found += [each for each in listing.bad if normalize("NFC", os.path.basename(os.path.dirname(each[0]))) == name]
    return sorted(found)


def bad_files(listing: Listing, scanned: Scan) -> list[tuple[str, str]]:
    """Return the names of the files that cannot be used, and why."""
    return sorted(listing.bad + [(listing.names[i], reason) for i, reason in scanned.bad])


def _told(name: str, reason: str) -> str:
    """Return what is wrong with a bad file, with its name exactly once."""
    return reason.rstrip(".") if shown(name) in reason else f"{shown(name)}: {reason}"
