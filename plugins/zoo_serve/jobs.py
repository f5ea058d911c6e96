"""What waits to be computed: the images of a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Found = NDArray[np.float32] | Exception


@dataclass(eq=False, slots=True)
class Job:
    """Images of a request that wait for their probabilities.

    Args:
        images: ``(n, height, width, channels)`` uint8, n at least 1.
        on_done: Function to call in the event loop with the probabilities ``(n, classes)``, or with what went wrong.
    """

    images: NDArray[np.uint8]
    on_done: Callable[[Found], object]
    taken: int = 0
    parts: dict[int, NDArray[np.float32]] = field(default_factory=dict)  # of the answer, by their first image
    is_over: bool = False  # nobody waits for the answer any more

    def add(self, first: int, part: Found) -> None:
        """Take the answer, or a part of it, which begins with that image."""
        if self.is_over:
            return
        if isinstance(part, Exception):
            self.is_over = True
            self.on_done(part)
            return
        self.parts[first] = part
        if sum(map(len, self.parts.values())) == len(self.images):
            self.is_over = True
            self.on_done(part if len(self.parts) == 1 else np.concatenate([self.parts[i] for i in sorted(self.parts)]))
