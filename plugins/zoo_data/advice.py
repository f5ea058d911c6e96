"""What to do about what was found, in plain words; nothing, if there is nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_data.counting import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo_data.records import ClassCounts, DataReport

_FEW = 20  # training images of a class: fewer say little about it
_IMBALANCED = 3.0  # images of the largest class for each one of the smallest
_NAMED = 5  # classes named in a line
_DIM = 128  # brightest value below which images use less than half of the range

_RANGE = "dataset.range"  # the setting that a warning names if values of 16 bits leave images dark


def advise(report: DataReport) -> list[str]:
    """Return what to do, the most important first."""
    return [*_about_copies(report), *_about_classes(report), *_about_images(report), *_about_labels(report)]


def _about_copies(report: DataReport) -> Iterator[str]:
    copies = report.copies
    if copies.leaked:
        one, more = "validation or test image has", "validation or test images have"
        yield (
            f"{counted(copies.leaked, one, more)} a copy or near copy among the training images, so metrics look "
            "better than they are. Remove the copies, or put them into one part."
        )
    if copies.across_classes:
        yield (
            f"{counted(copies.across_classes, 'group of copies has', 'groups of copies have')} more than one label, of "
            "which at most one is right. Correct the labels, or remove these images."
        )


def _about_classes(report: DataReport) -> Iterator[str]:
    few = [each for each in report.classes if each.train < _FEW]
    if few:
        yield (
            f"{counted(len(few), 'class has', 'classes have')} fewer than {_FEW} training images: {_names(few)}. Add "
            "images, or merge or leave out classes."
        )
    if report.imbalance is not None and report.imbalance >= _IMBALANCED:
        ordered = sorted(report.classes, key=lambda each: each.train)
        least, most = ordered[0], ordered[-1]
        how = "trainer.class_weights=balanced"
        sampled = ", or draw as many of each with `--set dataset.sampling=balanced`"
        yield (
            f"{most.name!r} has {report.imbalance:.1f} times as many training images as {least.name!r}. Weight the "
            f"classes with `--set {how}` (by {least.weight:.2f} to {most.weight:.2f})"
            f"{sampled if 'sampling' in report.settings else ''}, and choose the epoch by a metric that counts all "
            "classes alike: `--monitor balanced-accuracy` or `macro-f1`."
        )


def _about_images(report: DataReport) -> Iterator[str]:
    pixels = report.pixels
    if report.skipped:
        yield (
            f"{counted(len(report.skipped), 'file', 'files')} cannot be used. Fix or remove "
            f"{'it' if len(report.skipped) == 1 else 'them'}; `zoo run` needs --skip-bad otherwise."
        )
    if pixels.blank:
        said = counted(pixels.blank, "image is of one brightness and shows", "images are of one brightness and show")
        if 2 * pixels.blank > pixels.images or any(_RANGE in text for text in report.warnings):
            size = ", and dataset.size" if "size" in report.settings else ""
            yield f"{said} nothing. Check how they were converted{size}."
        else:
            yield f"{said} nothing. Remove {'it' if pixels.blank == 1 else 'them'}."
    if 0 < pixels.brightest < _DIM:
        yield (
            f"No pixel is brighter than {pixels.brightest} of 255, so the images use a small part of the range. Check "
            "how they were converted."
        )
    if report.shape[-1] == 3 and pixels.gray == pixels.images:
        yield "No image shows a color, although each has three channels. One channel is enough, and faster."


def _about_labels(report: DataReport) -> Iterator[str]:
    labels = report.labels
    if labels is not None and labels.suspects:
        yield (
            f"{counted(labels.suspects, 'label is', 'labels are')} likely wrong. Look at the images, and correct what "
            "is wrong; a label may also be right where the image is an unusual one."
        )


def _names(classes: list[ClassCounts]) -> str:
    """Return the names of classes with their numbers of images; the first few."""
    named = ", ".join(f"{each.name!r} ({each.train})" for each in classes[:_NAMED])
    return f"{named} and {len(classes) - _NAMED} more" if len(classes) > _NAMED else named
