"""`Box`."""

from __future__ import annotations

from typing import NamedTuple


class Box(NamedTuple):
    """A box of whole pixels: the pixel with the smallest coordinates, and the size.

    Examples
    --------
    >>> box = bunter.Box(100, 200, 32, 16)
    >>> box.shape, box.slices(origin=bunter.Box(100, 190, 512, 512))
    ((16, 32), (slice(10, 26, None), slice(0, 32, None)))
    """

    x0: int
    y0: int
    width: int
    height: int

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of an array that holds the box: rows, columns."""
        return (self.height, self.width)

    def slices(self, origin: Box | None = None) -> tuple[slice, slice]:
        """Where the box is in the array of another one (of one that begins at the origin unless given)."""
        x, y = (0, 0) if origin is None else (origin.x0, origin.y0)
        return (slice(self.y0 - y, self.y0 - y + self.height), slice(self.x0 - x, self.x0 - x + self.width))


Box.__module__ = "bunter"
