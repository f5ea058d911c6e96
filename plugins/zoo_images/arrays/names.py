"""Names of arrays: which part of a dataset an array belongs to, by the names that are common for it."""

from __future__ import annotations

import re
from typing import NamedTuple

from zoo_images.split_names import SPLIT_OF

_KINDS = {
    "images": ("images", "image", "imgs", "img", "x", "data", "pixels"),
    "labels": ("labels", "label", "y", "targets", "target"),
}
_CLASS_NAMES = ("classnames", "labelnames", "targetnames")
# "dev" is no split here: file names such as dev-train-images.npy have it for other reasons
_PART_OF = {word: part for word, part in SPLIT_OF.items() if word != "dev"}
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words}
_JOINED = re.compile(rf"^([xy])({'|'.join(_PART_OF)})$")  # "xtrain"
_NAME = re.compile(r"[A-Za-z0-9 ._-]+")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Role(NamedTuple):
    """What an array contains.

    Args:
        part: ``"train"``, ``"test"`` or ``"validation"``; ``""`` for all images together.
        kind: ``"images"``, ``"labels"`` or ``"class_names"``.
    """

    part: str
    kind: str

    def __str__(self) -> str:
        """Return the role's own name: ``"train_images"``, ``"labels"``."""
        return f"{self.part}_{self.kind}" if self.part else self.kind


CLASS_NAMES = Role("", "class_names")

KNOWN_NAMES = (
    "images and labels (or data, x; targets, y), alone or with train, test or val before or after them, in any case, "
    "as in train_images, X_train, val_labels; and class_names"
)
"""The names that are read, for messages."""


def role_of(name: str) -> Role | None:
    """Return the role of an array by its name, or None if the name is unknown or ambiguous."""
    if not _NAME.fullmatch(name):
        return None
    words = _words(name)
    if "".join(words) in _CLASS_NAMES:
        return CLASS_NAMES
    role = _role_of_words(words)
    return role if role.kind and len(words) == 1 + bool(role.part) else None


def partial_role_of(stem: str) -> Role:
    """Return what the name of a file says, its other words ignored: ``"kmnist-train-imgs"``.

    Its part and its kind are empty where the name has no word for it, or more than one.
    """
    words = _words(stem)
    return CLASS_NAMES if "".join(words[-2:]) in _CLASS_NAMES else _role_of_words(words)


def _words(name: str) -> list[str]:
    return " ".join(_JOINED.sub(r"\1 \2", word.lower()) for word in _WORD.findall(name)).split()


def _role_of_words(words: list[str]) -> Role:
    parts = [_PART_OF[word] for word in words if word in _PART_OF]
    kinds = [_KIND_OF[word] for word in words if word in _KIND_OF]
    return Role(parts[0] if len(parts) == 1 else "", kinds[0] if len(kinds) == 1 else "")
