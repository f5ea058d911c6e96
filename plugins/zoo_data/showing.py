"""What was found, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.cli.toolkit import table
from zoo.utils import printable
from zoo_data.counting import counted
from zoo_data.hashing import SMALLEST
from zoo_data.near_copies import MOST_IMAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo_data.records import Copies, CopyGroup, DataReport, Image

NOT_BETTER = "The model is no better than chance, so its predictions say nothing about labels."
"""What is said instead of doubtful labels."""

_MOST_CLASSES = 40  # in the table; with more, the largest and smallest
_MOST_NAMES = 4  # of images in a line


def as_text(report: DataReport, top: int) -> str:
    """Return a report as text.

    Args:
        report: The report.
        top: How many skipped files, groups of copies and doubtful labels to show.
    """
    sections = (
        _overview(report), _classes(report), _skipped(report, top), _copies(report, top), _labels(report, top),
        _advice(report),
    )  # fmt: skip
    return "\n\n".join("\n".join(lines) for section in sections if (lines := list(section)))


def _overview(report: DataReport) -> Iterator[str]:
    height, width, channels = report.shape
    held = ", held out from the training images" if report.held_out else ""
    rows = [("dataset", report.dataset)]
    if report.data_dir is not None:
        rows.append(("data", report.data_dir))
    rows.append(("images", f"{height}x{width} pixels, {channels} channel{'s' if channels > 1 else ''}, in "
                           f"{len(report.classes)} classes"))  # fmt: skip
    rows += [(name, f"{count:,} images{held if name == 'validation' else ''}") for name, count in report.parts.items()]
    pixels = report.pixels
    mean, deviation = (", ".join(f"{value:.1f}" for value in values) for values in (pixels.mean, pixels.deviation))
    rows.append(
        ("pixels", f"mean {mean}, deviation {deviation}, from {pixels.darkest} to {pixels.brightest} (training and "
                   "validation)")
    )  # fmt: skip
    odd = {
        "without color": pixels.gray if channels == 3 else 0,
        "blank": pixels.blank,
        "almost black": pixels.dark,
        "almost white": pixels.bright,
    }
    if any(odd.values()):
        rows.append(("odd images", ", ".join(f"{count:,} {name}" for name, count in odd.items() if count)))
    yield table(rows)
    for warning in report.warnings:
        yield f"Warning: {warning}"


def _classes(report: DataReport) -> Iterator[str]:
    shown = report.classes
    if len(shown) > _MOST_CLASSES:
        ordered = sorted(shown, key=lambda each: -each.train)
        shown = [*ordered[: _MOST_CLASSES // 2], *ordered[-_MOST_CLASSES // 2 :]]
        yield f"The {len(shown)} largest and smallest of {len(report.classes)} classes:"
    rows = [("class", *report.parts)]
    rows += [(each.name, *(f"{getattr(each, name):,}" for name in report.parts)) for each in shown]
    yield table(rows, numbers=range(1, len(report.parts) + 1))
    if report.imbalance is not None and report.imbalance >= 1.1:
        yield f"The largest class has {report.imbalance:.1f} times as many training images as the smallest."


def _skipped(report: DataReport, top: int) -> Iterator[str]:
    if not report.skipped:
        return
    yield f"{counted(len(report.skipped), 'file', 'files')} cannot be used:"
    for each in report.skipped[:top]:
        yield (
            f"  {each.reason}" if each.name in each.reason else f"  {': '.join(filter(None, (each.name, each.reason)))}"
        )
    yield from _rest(len(report.skipped), top)


def _copies(report: DataReport, top: int) -> Iterator[str]:
    copies = report.copies
    identical = "no image is identical to another"
    if copies.identical_groups:
        groups = counted(copies.identical_groups, "group", "groups")
        identical = f"{copies.identical_images:,} images in {groups} of identical ones"
    yield f"Copies: {identical}; {counted(copies.near_pairs, 'pair', 'pairs')} of near copies."
    if min(report.shape[:2]) < SMALLEST:
        yield f"Near copies were not looked for: images of fewer than {SMALLEST} pixels a side are too much alike."
    elif not copies.is_complete:
        yield _incomplete(copies)
    if not copies.groups:
        return
    yield (
        f"{counted(copies.groups, 'group', 'groups')}; in more than one part: {copies.across_parts:,}, with more than "
        f"one label: {copies.across_classes:,}"
    )
    yield table([_group(group) for group in copies.found[:top]])
    yield from _rest(copies.groups, top)


def _incomplete(copies: Copies) -> str:
    """Return why the search for near copies was not carried to its end."""
    if copies.compared >= MOST_IMAGES:
        return f"There can be more near copies: only the first {copies.compared:,} images were compared."
    return (
        "There can be more near copies: the search stopped early, because too many pairs of images look the same, as "
        "frames of a video do."
    )


def _group(group: CopyGroup) -> Sequence[str]:
    notes = {"mirrored": group.has_mirrored, "parts": group.across_parts, "labels": group.across_classes}
    names = " = ".join(_named(image) for image in group.images[:_MOST_NAMES])
    more = f" and {group.count - _MOST_NAMES} more" if group.count > _MOST_NAMES else ""
    return "", group.degree, ", ".join(name for name, is_so in notes.items() if is_so), names + more


def _named(image: Image) -> str:
    """Return the name of an image with its class, and its part unless the name begins with that."""
    part = "" if image.name.startswith(f"{image.part} ") else f", {image.part}"
    return f"{image.name} ({image.label}{part})"


def _labels(report: DataReport, top: int) -> Iterator[str]:
    labels = report.labels
    if labels is None:
        return
    if not labels.is_better_than_chance:
        yield f"Labels: {NOT_BETTER} Looked at: {labels.source}, {labels.images:,} images."
        return
    yield (
        f"Labels: {labels.suspects:,} of {labels.images:,} are likely wrong, by {labels.source}. The estimated number "
        f"of wrong labels is {labels.estimated_errors:,}."
    )
    if labels.found:
        head = ("", "image", "label", "", "predicted", "")
        rows = [
            (
                "",
                each.image.name,
                each.image.label,
                f"{each.self_confidence:.1%}",
                each.predicted,
                f"{each.confidence:.1%}",
            )
            for each in labels.found[:top]
        ]
        yield table([head, *rows], numbers=(3, 5))
        yield from _rest(labels.suspects, top)


def _advice(report: DataReport) -> Iterator[str]:
    for line in report.advice:
        yield printable(f"- {line}")


def _rest(count: int, top: int) -> Iterator[str]:
    if count > top:
        yield f"  ... and {count - top:,} more: --top N shows more, --json and --html most of them"
