"""McNemar's test: do two models differ on the same images by more than chance would make them?

The test looks only at the images of which one model is right and the other wrong. If both were equally good, each of
those would be as likely to fall to the one as to the other (McNemar 1947, Psychometrika 12, 153-157; for classifiers,
Dietterich 1998, Neural Computation 10, 1895-1923).
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
"""So many images that decide are counted out exactly; beyond that the chi-squared approximation is as good."""


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """What McNemar's test says of two models.

    Args:
        first_alone: Images of which the first is right and the second wrong.
        second_alone: Images of which the second is right and the first wrong.
        images: All images.
    """

    first_alone: int
    second_alone: int
    images: int

    @property
    def deciding(self) -> int:
        """Images of which one is right and the other wrong."""
        return self.first_alone + self.second_alone

    @property
    def is_exact(self) -> bool:
        """Whether `p_value` is counted out rather than approximated."""
        return self.deciding <= EXACT_UP_TO

    @property
    def p_value(self) -> float:
        """How probable so uneven a division, or a more uneven one, is if both models are equally good; two-sided.

        Up to `EXACT_UP_TO` deciding images it is that of the binomial distribution, beyond that chi-squared with one
        degree of freedom and the correction for continuity of Edwards (1948, Psychometrika 13, 185-187).
        """
        fewer, n = min(self.first_alone, self.second_alone), self.deciding
        if self.is_exact:
            as_uneven = 2 * sum(math.comb(n, count) for count in range(fewer + 1))
            return min(1.0, as_uneven / (1 << n))
        chi_squared = max(0, abs(self.first_alone - self.second_alone) - 1) ** 2 / n
        return math.erfc(math.sqrt(chi_squared / 2))

    @property
    def difference(self) -> float:
        """Accuracy of the second less that of the first."""
        return (self.second_alone - self.first_alone) / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `difference`, for paired shares (Agresti 2013, Categorical Data Analysis, 11.1.1)."""
        variance = self.deciding - (self.second_alone - self.first_alone) ** 2 / self.images
        margin = 1.96 * math.sqrt(max(0.0, variance)) / self.images
        return self.difference - margin, self.difference + margin


def paired_test(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTest:
    """Return McNemar's test of two models.

    Args:
        first: ``(n,)``, of which images the first model is right.
        second: ``(n,)``, of which images the second is.
    """
    return PairedTest(
        first_alone=int((first & ~second).sum()), second_alone=int((second & ~first).sum()), images=len(first)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for how many there are (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).

    Of many comparisons some look uneven by chance alone: the smallest is multiplied by their number, the next by one
    less, and none may fall below the one before it.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted
