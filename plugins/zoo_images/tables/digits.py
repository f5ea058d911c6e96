"""Reads many small numbers from text at once: the digits of all fields with a few operations on arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ZERO, _BRIGHTEST = ord("0"), 255


class IrregularTextError(ValueError):
    """A text has quotes, spaces, fractions or others where only digits are read; each row must be read by itself."""


def read_numbers(
    data: NDArray[np.uint8],
    is_end: NDArray[np.bool_],
    ends: NDArray[np.intp],
    lengths: NDArray[np.intp],
    chosen: slice | list[int],
) -> NDArray[np.uint8]:
    """Return the numbers from 0 to 255 in some columns of a text.

    Args:
        data: ``(m,)``, the bytes of the text.
        is_end: ``(m,)``, whether a byte ends a field.
        ends: ``(n, columns)``, indices of these bytes.
        lengths: ``(n, columns)``, lengths of the fields.
        chosen: The columns.

    Raises:
        IrregularTextError: A field has other bytes than one to three digits, or a larger number.
    """
    import numpy as np

    digits = np.zeros(len(data) + 3, np.uint16)  # with three zeros before the text
    digits[3:] = data - _ZERO  # other bytes before "0" wrap around
    is_digit = digits <= 9
    digits *= is_digit
    odd = np.flatnonzero(~(is_digit[3:] | is_end))
    is_chosen = np.zeros(ends.shape[1], np.bool_)
    is_chosen[chosen] = True
    sizes = lengths[:, chosen]
    if is_chosen[np.searchsorted(ends.ravel(), odd) % ends.shape[1]].any() or not (
        sizes.min(initial=1) >= 1 and sizes.max(initial=1) <= 3
    ):
        raise IrregularTextError
    # of the digits before each byte, as far as they are adjacent
    numbers = digits[2:-1] + 10 * digits[1:-2] + 100 * digits[:-3] * is_digit[1:-2]
    values = numbers[ends[:, chosen]]
    if values.max(initial=0) > _BRIGHTEST:
        raise IrregularTextError
    return values.astype(np.uint8, order="C")  # columns that are chosen one by one make another order


def read_spaced(text: str) -> NDArray[np.uint8]:
    """Return the numbers from 0 to 255 in a text of digits and single spaces.

    Raises:
        IrregularTextError: The text is not like that.
    """
    import numpy as np

    data = np.frombuffer((" ".join(text.split()) + " ").encode(), np.uint8)
    is_end = data == ord(" ")
    ends = np.flatnonzero(is_end)[None]
    found: NDArray[np.uint8] = read_numbers(data, is_end, ends, np.diff(ends, prepend=-1) - 1, slice(None))[0]
    return found
