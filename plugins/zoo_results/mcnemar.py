"""McNemar's test: do two models differ on the same images by more than chance explains?

The test uses only the discordant images, which one model classifies correctly and the other does not. If both models
were equally good, each of these images would be equally likely to favor either one (McNemar 1947, Psychometrika 12,
153-157; for classifiers, Dietterich 1998, Neural Computation 10, 1895-1923).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

EXACT_UP_TO = 1000
"""Maximum number of discordant images for the exact test; beyond it, the chi-squared approximation is as good."""


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Result of McNemar's test of two models.

    Args:
        first_alone: Number of images that only the first model classifies correctly.
        second_alone: Number of images that only the second model classifies correctly.
        images: Number of all images.
    """

    first_alone: int
    second_alone: int
    images: int

    @property
    def deciding(self) -> int:
        """Number of discordant images, which exactly one of the models classifies correctly."""
        return self.first_alone + self.second_alone

    @property
    def is_exact(self) -> bool:
        """Whether `p_value` is exact rather than approximated."""
        return self.deciding <= EXACT_UP_TO

    @property
    def p_value(self) -> float:
        """The two-sided p-value: the probability of a split at least this uneven if both models are equally good.

        Up to `EXACT_UP_TO` discordant images, it is that of the binomial distribution. Beyond that, it is that of the
        chi-squared distribution with one degree of freedom and the continuity correction of Edwards (1948,
        Psychometrika 13, 185-187).
        """
        fewer, n = min(self.first_alone, self.second_alone), self.deciding
        if self.is_exact:
            as_uneven = 2 * sum(math.comb(n, count) for count in range(fewer + 1))
            return min(1.0, as_uneven / (1 << n))
        chi_squared = max(0, abs(self.first_alone - self.second_alone) - 1) ** 2 / n
        return math.erfc(math.sqrt(chi_squared / 2))

    @property
    def difference(self) -> float:
        """Accuracy of the second model minus that of the first."""
        return (self.second_alone - self.first_alone) / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of `difference`, for paired proportions (Agresti 2013, Categorical Data Analysis, 11.1.1)."""
        variance = self.deciding - (self.second_alone - self.first_alone) ** 2 / self.images
        margin = 1.96 * math.sqrt(max(0.0, variance)) / self.images
        return self.difference - margin, self.difference + margin


def paired_test(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTest:
    """Return McNemar's test of two models.

    Args:
        first: ``(n,)``, whether the first model classifies each image correctly.
        second: ``(n,)``, the same for the second model.
    """
    return PairedTest(
        first_alone=int((first & ~second).sum()), second_alone=int((second & ~first).sum()), images=len(first)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for multiple comparisons (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).

    Among many comparisons, some look uneven by chance alone. So the smallest p-value is multiplied by their number, the
    next by one less and so on; none is smaller than the one before it, or larger than 1.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted
