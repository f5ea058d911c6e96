"""Copies of images: identical ones, near ones, and the groups that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.data import first_joined
from zoo_data.near_copies import find_near_copies
from zoo_data.parts import TRAIN
from zoo_data.records import Copies, CopyGroup, Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zoo_data.near_copies import NearCopies
    from zoo_data.parts import Part
    from zoo_data.scanning import Scan

_MOST_GROUPS = 1000  # that are listed
_MOST_IMAGES = 100  # of a group that are listed


def image_at(position: int, scan: Scan, parts: Sequence[Part], class_names: Sequence[str]) -> Image:
    """Return the record of an image.

    Args:
        position: Its position among all images.
        scan: The images.
        parts: The parts that were scanned.
        class_names: Names of the classes.
    """
    part, index = parts[scan.part_of[position]], int(scan.index[position])
    return Image(part=part.name, index=index, name=part.ids[index], label=class_names[scan.labels[position]])


def find_copies(scan: Scan, parts: Sequence[Part], class_names: Sequence[str]) -> Copies:
    """Return the identical images and near copies of a dataset.

    Args:
        scan: All of its images.
        parts: The parts that were scanned.
        class_names: Names of the classes.
    """
    import numpy as np

    _, first, which, counts = np.unique(scan.digests, return_index=True, return_inverse=True, return_counts=True)
    near = find_near_copies(scan.thumbnails[first], scan.colors[first])
    pairs = zip(near.first.tolist(), near.second.tolist(), strict=True)
    group_of = first_joined(len(first), pairs)[which.ravel()]  # of each image, the number of its group
    order = np.argsort(group_of, kind="stable")
    bounds = np.flatnonzero(np.diff(group_of[order])) + 1
    groups = [members for members in np.split(order, bounds) if len(members) > 1]
    groups.sort(key=lambda members: int(members[0]))
    similarity, has_mirrored = _links(near, group_of[first])
    found = []
    for members in groups:
        number = int(group_of[members[0]])
        found.append(
            CopyGroup(
                images=[image_at(int(i), scan, parts, class_names) for i in members[:_MOST_IMAGES]],
                count=len(members),
                is_identical=len(np.unique(which.ravel()[members])) == 1,
                similarity=similarity.get(number, 1.0),
                has_mirrored=number in has_mirrored,
                across_parts=len(np.unique(scan.part_of[members])) > 1,
                across_classes=len(np.unique(scan.labels[members])) > 1,
            )
        )
    found.sort(
        key=lambda group: (-group.across_parts - group.across_classes, not group.is_identical, -group.similarity)
    )
    return Copies(
        identical_groups=int((counts > 1).sum()),
        identical_images=int(counts[counts > 1].sum()),
        near_pairs=len(near.first),
        groups=len(found),
        across_parts=sum(group.across_parts for group in found),
        across_classes=sum(group.across_classes for group in found),
        leaked=_leaked(groups, scan, parts),
        compared=near.compared,
        is_complete=near.is_complete,
        found=found[:_MOST_GROUPS],
    )


def _links(near: NearCopies, group_of: NDArray[np.intp]) -> tuple[dict[int, float], set[int]]:
    """Return the smallest similarity of the pairs of each group, and the groups with mirror images."""
    similarity: dict[int, float] = {}
    numbers = group_of[near.first].tolist()
    for number, value in zip(numbers, near.similarity.tolist(), strict=True):
        similarity[number] = min(similarity.get(number, 1.0), value)
    return similarity, {number for number, is_it in zip(numbers, near.is_mirrored, strict=True) if is_it}


def _leaked(groups: Sequence[NDArray[np.intp]], scan: Scan, parts: Sequence[Part]) -> int:
    """Return the number of validation and test images that have a copy in the training images."""
    is_train = [part.name == TRAIN for part in parts]
    count = 0
    for members in groups:
        trained = sum(is_train[part] for part in scan.part_of[members])
        count += len(members) - trained if trained else 0
    return count
