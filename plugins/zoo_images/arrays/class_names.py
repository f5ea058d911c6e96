"""Names of classes in arrays: compared as those of tables and folders are."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import shown

if TYPE_CHECKING:
    from zoo_images.arrays.stored_arrays import StoredArray


def cleaned(text: str) -> str:
    """Return a label or name in NFC, with single spaces and none around it, so that texts that look the same are."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def read_class_names(array: StoredArray) -> tuple[str, ...]:
    """Return the names in an array.

    Raises:
        DataError: A name is empty or not printable, or two are the same.
    """
    names = tuple(cleaned(str(name)) for name in array.read().ravel())
    if odd := [i for i, name in enumerate(names) if not name or shown(name) != name]:
        raise DataError(
            f"{array.title} has a name that is empty or not printable text. Rename the class. "
            f"Received: class_names[{odd[0]}]='{shown(names[odd[0]]):.100}'",
            path=array.path,
        )
    if several := [(name, count) for name, count in Counter(names).items() if count > 1]:
        name, count = several[0]
        raise DataError(
            f"{array.title} has a name more than once. Rename all but one of these classes. "
            f"Received: name='{name:.100}', {count} times",
            path=array.path,
        )
    return names
