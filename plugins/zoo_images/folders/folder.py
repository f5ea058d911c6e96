"""The dataset ``image-folder``: image files, one folder per class, streamed from disk."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from zoo import Dataset, ImageInput, SettingError, Split
from zoo.data import Subset
from zoo.images import shown
from zoo_images.data_dirs import require
from zoo_images.folders.decoded_images import DecodedImages, folder_on_disk
from zoo_images.folders.duplicates import warn_of_copies
from zoo_images.folders.faults import bad_files, check_none_lost, refuse_or_report, warn_without_classes
from zoo_images.folders.listing import list_images
from zoo_images.grouping import joint_groups, warn_of_divided_groups
from zoo_images.parts import cut_parts, digest_of
from zoo_images.splitting import PositiveShare, Sampling, Share  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Examples
    from zoo_images.folders.listing import Listing
    from zoo_images.folders.scanning import Scan

Side = Annotated[int, Meta(ge=1, le=4096)]
Brightness = Annotated[int, Meta(ge=0, le=255)]
Value = Annotated[int, Meta(ge=0, le=65535)]
Mebibytes = Annotated[int, Meta(ge=0, le=1 << 20)]


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Dataset):
    """Image files in one folder per class.

    Args:
        size: Height and width of every image after preprocessing, in pixels.
        color_mode: One channel (``grayscale``), three (``rgb``), or one if every file is stored as grayscale, else
            three (``auto``).
        crop: How images of another aspect ratio are fitted: scaled to cover and cropped around the ``center``, scaled
            to fit and padded (``pad``), or distorted (``stretch``).
        background: Brightness of padding, and of the background behind transparent parts.
        test_share: Share of each class used for testing, if there is no folder ``test``.
        validation_share: Share of the rest used for validation, if validation has no folder; 0 leaves the split to the
            recipe.
        range: Values of 16-bit grayscale files that become black and white: all of them (``full``), those of the
            smallest number of bits, 8, 10, 12, 14 or 16, that has the largest value of the training files (``auto``),
            or the lowest and the highest.
        split_seed: Seed of the split: another value selects other images.
        follow_links: Follow symbolic links that lead out of the folder, instead of refusing them.
        skip_bad: Skip and count files that cannot be used, instead of refusing the folder.
        cache: MiB of decoded images kept in memory.
        disk_cache: MiB of other decoded images kept in a temporary file, which is gone when the run ends: at most a
            quarter of the free space.
        sampling: Train on each image once an epoch (``natural``), or repeat images of smaller classes until each class
            has as many as the largest (``balanced``).
    """

    size: tuple[Side, Side] = (64, 64)
    color_mode: Literal["auto", "grayscale", "rgb"] = "auto"
    crop: Literal["center", "pad", "stretch"] = "center"
    background: Brightness = 255
    test_share: PositiveShare = 0.2
    validation_share: Share = 0.1
    range: Literal["auto", "full"] | tuple[Value, Value] = "full"
    split_seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    follow_links: bool = False
    skip_bad: bool = False
    cache: Mebibytes = 64
    disk_cache: Mebibytes = 16_384
    sampling: Sampling = "natural"

    needs_data_dir = True

    @property
    def image_input(self) -> ImageInput:
        """Preprocessing that `zoo predict` applies to new images."""
        return ImageInput(
            crop=self.crop,
            background=self.background,
            inverted=False,
            value_range=self.range if isinstance(self.range, tuple) else None,
        )

    def __post_init__(self) -> None:
        """Raise `zoo.SettingError` if the range is empty."""
        if isinstance(self.range, tuple) and self.range[0] >= self.range[1]:
            raise SettingError(
                "The first value of setting 'dataset.range' becomes black and must be less than the second. "
                f"Received: dataset.range={self.range}",
                name="dataset.range",
                value=self.range,
            )

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `zoo.DataError` unless there are class folders with files; no file is read."""
        self._list(data_dir)

    def load(self, data_dir: Path | None) -> Split:
        """Return the images of a folder, after reading and decoding each file once to check it.

        Args:
            data_dir: A folder with one folder per class; or a folder with ``train`` and optionally ``validation``
                (``val``, ``valid``) and ``test``, each with one folder per class; or a folder with only such a folder.

        Raises:
            DataError: The folder does not exist or is structured differently, or a file cannot be used; the message
                names it.
        """
        listing = self._list(data_dir)
        warn_without_classes(listing)
        return self.load_files(listing)

    def _list(self, data_dir: Path | None) -> Listing:
        data_dir = require(data_dir, "image-folder", "a folder of images")
        return list_images(data_dir, follow_links=self.follow_links)

    def load_files(self, listing: Listing, digests: Mapping[str, str] | None = None) -> Split:
        """Return the images that are listed, after reading and decoding each file once to check it.

        Args:
            listing: The files.
            digests: SHA-256 of other files that the listing was made from, by name.

        Raises:
            DataError: A file cannot be used, or a class has too few files.
        """
        from zoo_images.folders.ranges import find_range
        from zoo_images.folders.scanning import scan
        from zoo_images.folders.streaming import FileExamples

        kept = DecodedImages(memory=self.cache << 20, disk=self.disk_cache << 20, folder=folder_on_disk())
        form, is_gray = self.image_input, self.color_mode == "grayscale"
        scanned = scan(listing.root, listing.names, self.size, form, kept, is_gray=is_gray)
        refuse_or_report(listing, scanned, skip_bad=self.skip_bad)
        import numpy as np

        labels = np.array(listing.labels, np.int32)[scanned.sound]
        check_none_lost(listing, scanned, labels)
        channels = 1 if is_gray or (self.color_mode == "auto" and bool(scanned.is_gray.all())) else 3
        parts = self._parts(listing, scanned, labels)
        found_range = find_range(listing.root, scanned, parts["train"], self.range)
        examples = FileExamples(
            listing.root,
            [listing.names[i] for i in scanned.sound],
            labels,
            scanned,
            (*self.size, channels),
            replace(form, value_range=found_range if isinstance(found_range, tuple) else None),
            kept,
        )
        digests = {**(digests or {}), "files": _digest(listing, scanned)}
        settings = {"range": found_range} if self.range == "auto" else {}
        return self.split_of(examples, listing, scanned, parts, digests, settings)

    def split_of(
        self,
        examples: Examples,
        listing: Listing,
        scanned: Scan,
        parts: Mapping[str, NDArray[np.intp]],
        digests: Mapping[str, str],
        settings: Mapping[str, Any],
    ) -> Split:
        """Return examples as a split, and warn of copies.

        Args:
            examples: The examples that are valid.
            listing: All that were listed.
            scanned: Results of scanning these.
            parts: Positions of those of each split.
            digests: SHA-256 of what they were read from, by name.
            settings: As for `zoo.Split`.
        """
        warn_of_copies(listing, scanned)
        return Split(
            train=Subset(examples, parts["train"]),
            test=Subset(examples, parts["test"]),
            validation=Subset(examples, parts["validation"]) if len(parts.get("validation", ())) else None,
            class_names=listing.class_names,
            digests={**digests, "test": digest_of(scanned.digests[parts["test"]])},
            skipped_files=tuple(shown(name) for name, _ in bad_files(listing, scanned)),
            skipped_reasons=tuple(reason for _, reason in bad_files(listing, scanned)),
            train_ids=_ids(listing, scanned, parts["train"]),
            validation_ids=_ids(listing, scanned, parts.get("validation")),
            test_ids=_ids(listing, scanned, parts["test"]),
            settings=settings,
            sampling=self.sampling,
            **joint_groups(
                [digest.tobytes() for digest in scanned.digests],
                [listing.groups[i] for i in scanned.sound] if listing.groups else [],
                parts,
            ),
        )

    def _parts(self, listing: Listing, scanned: Scan, labels: NDArray[np.int32]) -> dict[str, NDArray[np.intp]]:
        """Return the indices of each split, given by the listing or split off from the training images."""
        import numpy as np

        part_of = np.array(listing.part_of)[scanned.sound]
        given = {name: np.flatnonzero(part_of == i) for i, name in enumerate(listing.parts or ("train",))}
        groups = [listing.groups[i] for i in scanned.sound] if listing.groups else []
        if groups:
            warn_of_divided_groups(groups, given, shown(listing.source))
        return cut_parts(
            given,
            labels=labels,
            digests=scanned.digests,
            class_names=listing.class_names,
            shares={"test": self.test_share, "validation": self.validation_share},
            seed=self.split_seed,
            groups=groups,
        )


def _ids(listing: Listing, scanned: Scan, part: NDArray[np.intp] | None) -> tuple[str, ...]:
    """Return the names of the files of a split."""
    return () if part is None else tuple(shown(listing.names[i]) for i in scanned.sound[part])


def _digest(listing: Listing, scanned: Scan) -> str:
    """Return the SHA-256 of a list of all files: for each file, the SHA-256 of its content, and its name."""
    digest = hashlib.sha256()
    for i, content in zip(scanned.sound, scanned.digests, strict=True):
        digest.update(content.tobytes().hex().encode() + b"  " + os.fsencode(listing.names[i]) + b"\0")
    return digest.hexdigest()
