"""What was found as one self-contained HTML page: no network access, no scripts, all text escaped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from zoo.utils import printable
from zoo_data.parts import TEST, TRAIN
from zoo_data.pictures import Pictures
from zoo_data.showing import NOT_BETTER

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo_data.parts import Part
    from zoo_data.records import CopyGroup, DataReport, Image, Suspect

_SAMPLES = 100  # pictures of all classes together
_OF_CLASS = 10  # pictures of a class
_CLASSES = 50  # classes with pictures
_GROUPS = 40  # groups of copies
_OF_GROUP = 4  # pictures of a group
_SUSPECTS = 60
_SKIPPED = 100


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An image as the page shows it: ``address`` is None if there is no room for its picture."""

    image: Image
    address: str | None


def render(report: DataReport, parts: list[Part], labels: NDArray[np.int64]) -> str:
    """Return the page.

    Args:
        report: What was found.
        parts: The parts of the dataset, from which the pictures are taken.
        labels: ``(n,)``, of the training images.

    Raises:
        DataError: An image cannot be read any more.
    """
    pictures = Pictures(parts)
    environment = Environment(
        loader=PackageLoader("zoo_data", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # doubtful labels and copies come first: they are what one has to look at
    suspects = _suspects(report, pictures)
    groups = _groups(report, pictures)
    return environment.get_template("data.html.j2").render(
        report=report,
        title=report.dataset,
        not_better=NOT_BETTER,
        suspects=suspects,
        groups=groups,
        samples=_samples(report, labels, pictures),
        skipped=report.skipped[:_SKIPPED],
        largest=max(each.train for each in report.classes),
    )


def _plain(value: Any) -> Any:
    """Return text without control characters, including those that change the reading direction."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _suspects(report: DataReport, pictures: Pictures) -> list[tuple[Suspect, Shown]]:
    found = [] if report.labels is None else report.labels.found[:_SUSPECTS]
    return [(each, _shown(each.image, pictures)) for each in found]


def _groups(report: DataReport, pictures: Pictures) -> list[tuple[CopyGroup, list[Shown]]]:
    """Return groups of copies with their pictures: of test images, only those that other parts have too."""
    open_groups = [group for group in report.copies.found if any(each.part != TEST for each in group.images)]
    return [(group, [_shown(each, pictures) for each in _varied(group)]) for group in open_groups[:_GROUPS]]


def _varied(group: CopyGroup) -> list[Image]:
    """Return some images of a group, of different parts and classes first."""
    first: dict[tuple[str, str], Image] = {}
    for each in group.images:
        first.setdefault((each.part, each.label), each)
    others = [each for each in group.images if each not in first.values()]
    return [*first.values(), *others][:_OF_GROUP]


def _samples(report: DataReport, labels: NDArray[np.int64], pictures: Pictures) -> list[tuple[str, list[str]]]:
    """Return pictures of training images of each class, evenly spread over them."""
    import numpy as np

    shown = report.classes[:_CLASSES]
    each = max(1, min(_OF_CLASS, _SAMPLES // len(shown)))
    found = []
    for label, one in enumerate(shown):
        members = np.flatnonzero(labels == label)
        chosen = members[np.linspace(0, len(members) - 1, min(each, len(members))).astype(int)] if len(members) else []
        addresses = [pictures.address(TRAIN, int(index)) for index in chosen]
        found.append((one.name, [address for address in addresses if address is not None]))
    return found


def _shown(image: Image, pictures: Pictures) -> Shown:
    return Shown(image=image, address=pictures.address(image.part, image.index))
