"""The splits of labeled images: those that are given, and test and validation images cut from the others."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from zoo_images.grouping import check_enough_groups, connect, split_off_groups
from zoo_images.splitting import check_enough_images, split_off

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray


def cut_parts(
    given: Mapping[str, NDArray[np.intp]],
    *,
    labels: NDArray[np.integer[Any]],
    digests: NDArray[np.uint8],
    class_names: Sequence[str],
    shares: Mapping[str, float],
    seed: int,
    groups: Sequence[str] = (),
) -> dict[str, NDArray[np.intp]]:
    """Return the indices of each split, in order.

    Args:
        given: Indices of the splits that are given; ``"train"`` is one of them.
        labels: ``(n,)``, integers from 0.
        digests: ``(n, 32)`` uint8, SHA-256 of the images. Together with the seed they decide which images are cut, so
            that neither names nor other images matter.
        class_names: Names of the classes, for error messages.
        shares: Share of each class of ``"test"`` and of ``"validation"``, for a split that is not given; 0 for none.
        seed: Another seed cuts other images.
        groups: Group of each image; no group is divided by a cut. Empty if there are none.

    Raises:
        DataError: A class has too few images or groups.
    """
    import numpy as np

    parts = dict(given)
    ranks = np.array([_rank(seed, digest.tobytes()) for digest in digests], np.uint64)
    wanted = [name for name, share in shares.items() if name not in parts and share]
    within = parts["train"]
    if not groups:
        check_enough_images(labels[within], ranks[within], class_names, wanted)
        for name in wanted:
            chosen, rest = split_off(labels[within], ranks[within], class_names, shares[name], name)
            parts[name], within = within[chosen], within[rest]
    elif wanted:
        whole = connect([groups[i] for i in within], ranks[within])  # copies stay together too
        check_enough_groups(labels[within], whole, class_names, wanted)
        for name in wanted:
            chosen, rest = split_off_groups(labels[within], ranks[within], whole, class_names, shares[name], name)
            parts[name], within, whole = within[chosen], within[rest], whole[rest]
    parts["train"] = within
    return parts


def digest_of(contents: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of images' SHA-256, in order: identifies the images of a split."""
    return hashlib.sha256(contents.tobytes()).hexdigest()


def _rank(seed: int, digest: bytes) -> int:
    return int.from_bytes(hashlib.sha256(seed.to_bytes(16) + digest).digest()[:8])
