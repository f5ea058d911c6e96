"""The dataset ``table``: image files with their labels in a table, or a table of pixels."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import ArrayExamples, DataError
from zoo.errors import ZooWarning
from zoo.images import shown
from zoo_images.folders.folder import ImageFolder, Side
from zoo_images.tables.columns import Wanted
from zoo_images.tables.files import check_files, list_files
from zoo_images.tables.pixels import image_shape
from zoo_images.tables.rows import check_memory, digest_of_file, hint_at_groups, open_sources, warn_of_unused_splits
from zoo_images.tables.splits import find_tables

if TYPE_CHECKING:
    from zoo import ImageInput, Split
    from zoo_images.tables.rows import Source


@dataclass(frozen=True, kw_only=True)
class Table(ImageFolder):
    """A table with a row per image: the name of its file, or its pixels, and its label.

    ``color_mode``, ``crop``, ``background``, ``range``, ``cache``, ``disk_cache`` and ``follow_links`` are for files,
    not for pixels.

    Args:
        size: Height and width of every image after preprocessing, in pixels. A table of pixels has its own.
        test_share: Share of each class used for testing, if the tables have no test split.
        validation_share: Share of the rest used for validation, if the tables have no validation split; 0 leaves the
            split to the recipe.
        skip_bad: Skip and count rows without a label and files that cannot be used, instead of refusing the table.
        files: Column of file names; by default, one with a usual name.
        labels: Column of labels; by default, one with a usual name.
        images: Folder that contains the files, in that of the table and relative to it; by default, the folder of the
            table and the folders in it.
        split: Column of splits; by default, one with a usual name; ``none`` to use none.
        group: Column of groups, such as patients: no group is divided between splits; by default, a column ``group``;
            ``none`` to use none.
        shape: Height, width and channels of the images of a table of pixels; by default, they are gray, and
            square unless names of columns, as ``1x1``, say otherwise.
    """

    files: str = ""
    labels: str = ""
    images: str = ""
    split: str = ""
    group: str = ""
    shape: tuple[Side, Side, Side] | None = None

    takes_file = True

    @property
    def image_input(self) -> ImageInput:
        """Preprocessing that `zoo predict` applies to new images."""
        return replace(super().image_input, inverted=None)

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `zoo.DataError` unless there are tables with the columns that are needed; few rows are read."""
        self._sources(data_dir, is_quiet=True)

    def load(self, data_dir: Path | None) -> Split:
        """Return the images of a table.

        Args:
            data_dir: A table (``.csv``, ``.tsv``, ``.parquet``); or a folder with exactly one, or with one for each
                split: ``train.csv``, and optionally ``validation.csv`` and ``test.csv``.

        Raises:
            DataError: The table does not exist or is malformed, or an image cannot be used; the message names the row
                or the file.
        """
        sources = self._sources(data_dir)
        hint_at_groups(sources)
        warn_of_unused_splits(sources[0])
        digests = {source.path.name: digest_of_file(source.path) for source in sources}
        if sources[0].columns.pixels:
            return self._load_pixels(sources, digests)
        root = self._root(sources[0].path)
        return self.load_files(list_files(sources, root, self.skip_bad, follow_links=self.follow_links), digests)

    def _sources(self, data_dir: Path | None, *, is_quiet: bool = False) -> list[Source]:
        wanted = Wanted(files=self.files, labels=self.labels, split=self.split, group=self.group)
        sources = open_sources(find_tables(data_dir), wanted, is_quiet=is_quiet)
        check_memory(sources)
        for source in sources:
            if source.columns.pixels:
                image_shape(source, self.shape)
            else:
                check_files(source, self._root(source.path), follow_links=self.follow_links)
        return sources

    def _root(self, table: Path) -> Path:
        """Return the folder of the files."""
        inner = os.path.normpath(self.images)
        root = table.parent / inner
        if os.path.isabs(inner) or inner.split("/")[0] == "..":
            raise self._is_elsewhere(table.parent)
        if not os.path.isdir(root):
            raise DataError(
                f"{shown(root)} is not a folder. Pass the folder of the images, relative to that of the table, with "
                f"--set dataset.images=DIR. Received: dataset.images='{shown(self.images)}'",
                path=root,
            )
        real, holder = Path(os.path.realpath(root)), os.path.realpath(table.parent)
        if not (self.follow_links or real.is_relative_to(holder)):
            raise self._is_elsewhere(table.parent)
        return root

    def _is_elsewhere(self, folder: Path) -> DataError:
        """Return the error for images that are not in the folder of the table: a stranger's run may name any folder."""
        return DataError(
            f"The folder of the images must be in that of the table, {shown(folder)}. Move the table to a folder that "
            "has them too, or make a link to their folder in it and set dataset.follow_links=true. "
            f"Received: dataset.images='{shown(self.images)}'",
            path=folder,
        )

    def _load_pixels(self, sources: list[Source], digests: dict[str, str]) -> Split:
        """Return the images of tables of pixels, which are held in memory."""
        import numpy as np

        from zoo_images.tables.images import list_pixels, scan_arrays

        if self.size != type(self).size:
            warnings.warn(
                f"The images of {shown(sources[0].path)} have a size of their own: dataset.size changes only that of "
                "image files.",
                ZooWarning,
                stacklevel=3,
            )
        listing, images = list_pixels(sources, self.shape, self.skip_bad)
        labels = np.array(listing.labels, np.int32)
        scanned = scan_arrays(images)
        parts = self._parts(listing, scanned, labels)
        return self.split_of(ArrayExamples(images, labels), listing, scanned, parts, digests, {})
