"""What a look at a dataset finds, as records that ``--json`` prints."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image of the dataset.

    Args:
        part: ``"train"``, ``"validation"`` or ``"test"``.
        index: Its position in that part, from 0.
        name: Its name in the dataset, such as its file name; without one, the part of the dataset and the position.
        label: The name of its class.
    """

    part: str
    index: int
    name: str
    label: str


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """A class, and how many of its images each part has.

    Args:
        name: Its name.
        train: Number of training images.
        validation: Number of validation images.
        test: Number of test images.
        weight: What ``trainer.class_weights=balanced`` multiplies its loss by; None without training images.
    """

    name: str
    train: int
    validation: int
    test: int
    weight: float | None


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Brightness and color of the training and validation images, as a model gets them: from 0 to 255.

    Args:
        images: Number of images.
        mean: Mean of each channel.
        deviation: Standard deviation of each channel.
        darkest: Smallest value of all.
        brightest: Largest value of all.
        gray: Number of images with three channels that show no color.
        blank: Number of images of (almost) one brightness.
        dark: Number of images that are almost black, blank ones not included.
        bright: Number of images that are almost white, blank ones not included.
    """

    images: int
    mean: list[float]
    deviation: list[float]
    darkest: int
    brightest: int
    gray: int
    blank: int
    dark: int
    bright: int


@dataclass(frozen=True, kw_only=True)
class SkippedFile:
    """A file that cannot be used, and why; the reason is empty if the dataset does not say it."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class CopyGroup:
    """Images that are copies of each other.

    Args:
        images: The images; the first hundred if there are more.
        count: Number of images.
        is_identical: Whether all of their pixels are the same.
        similarity: The smallest correlation of the brightness of two images that were found to be near copies; 1 for
            identical ones.
        has_mirrored: Whether some are mirror images of others.
        across_parts: Whether they are in more than one part.
        across_classes: Whether they have more than one label.
    """

    images: list[Image]
    count: int
    is_identical: bool
    similarity: float
    has_mirrored: bool
    across_parts: bool
    across_classes: bool

    @property
    def degree(self) -> str:
        """``"identical"``, or the similarity, rounded down so that 1 is for identical images alone."""
        return "identical" if self.is_identical else f"{math.floor(self.similarity * 1e4) / 1e4:.4f}"


@dataclass(frozen=True, kw_only=True)
class Copies:
    """The copies in a dataset.

    Args:
        identical_groups: Number of groups of images with the same pixels.
        identical_images: Number of images in them.
        near_pairs: Number of pairs of different images that are near copies.
        groups: Number of groups, of identical images and near copies together.
        across_parts: Number of groups with images in more than one part.
        across_classes: Number of groups with more than one label.
        leaked: Number of validation and test images of which there is a copy in the training images.
        compared: Number of different images that were compared; the others are blank, or more than can be compared.
        is_complete: Whether the search for near copies was carried to its end.
        found: The groups, those across parts or classes first, then by similarity; the first thousand.
    """

    identical_groups: int
    identical_images: int
    near_pairs: int
    groups: int
    across_parts: int
    across_classes: int
    leaked: int
    compared: int
    is_complete: bool
    found: list[CopyGroup]


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """An image whose label is likely wrong.

    Args:
        image: The image, with the label that it has.
        predicted: The class that the model predicts.
        self_confidence: The predicted probability of its label.
        confidence: The predicted probability of the predicted class.
    """

    image: Image
    predicted: str
    self_confidence: float
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels that are likely wrong, found by confident learning.

    Args:
        source: Where the predictions come from.
        images: Number of images with predictions.
        is_better_than_chance: Whether the model is right clearly more often than if it always answered the most
            frequent class. If not, its predictions say nothing about labels, and none is counted or listed.
        estimated_errors: Estimated number of wrong labels among them.
        suspects: Number of labels that are likely wrong.
        thresholds: For each class, the mean predicted probability of it among the images that have it as label; None
            if there are none.
        confident_joint: ``[label][class]``: number of images with that label that the model confidently finds to be of
            that class; None with more than 200 classes.
        found: The labels, the most doubtful first; the first thousand.
    """

    source: str
    images: int
    is_better_than_chance: bool
    estimated_errors: int
    suspects: int
    thresholds: list[float | None]
    confident_joint: list[list[int]] | None
    found: list[Suspect]


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """What a look at a dataset found.

    Args:
        dataset: Qualified name of the dataset.
        data_dir: The folder or file that was read; None for the dataset's own data.
        settings: The settings of the dataset, as text.
        shape: Height, width and channels of the images, as a model gets them.
        held_out: Whether the validation images were held out from the training images by the recipe's setting.
        parts: Number of images in each part.
        classes: The classes.
        imbalance: Training images of the largest class for each one of the smallest; None if that has none.
        pixels: Brightness and color.
        skipped: Files that cannot be used.
        warnings: What the dataset warned of.
        copies: Copies.
        labels: Labels that are likely wrong; None if that was not asked for.
        advice: What to do, if there is anything to do.
    """

    dataset: str
    data_dir: str | None
    settings: dict[str, str]
    shape: list[int]
    held_out: bool
    parts: dict[str, int]
    classes: list[ClassCounts]
    imbalance: float | None
    pixels: Pixels
    skipped: list[SkippedFile]
    warnings: list[str]
    copies: Copies
    labels: Labels | None
    advice: list[str]
