"""A rate that settles: what came in, cut into windows of half a second, until two of them agree."""

from dataclasses import dataclass, field
from typing import Final

WIDTH_NS: Final = 500_000_000
AGREE: Final = 0.03


@dataclass
class Windows:
    """Rates of one test at its receiver; times in ns of whatever clock, sizes in bytes since the test began.

    A window ends with the first arrival half a second after it began and takes its own true length, so that bursts at
    its edge do not matter. The first begins with the first arrival.
    """

    _edges: list[tuple[int, int]] = field(default_factory=list)

    def add(self, at_ns: int, total: int) -> bool:
        """Says that `total` bytes had come in by then. True where a window ended with it."""
        if not self._edges:
            self._edges.append((at_ns, total))
            return False
        begun, _ = self._edges[-1]
        if at_ns - begun < WIDTH_NS:
            return False
        self._edges.append((at_ns, total))
        return True

    @property
    def mbps(self) -> tuple[float, ...]:
        """The rate of each whole window, in order."""
        return tuple(_rate(a, b) for a, b in zip(self._edges, self._edges[1:], strict=False))

    @property
    def settled(self) -> bool:
        """Whether the last two windows agree within 3 % of the greater."""
        last = self.mbps[-2:]
        return len(last) == 2 and min(last) > 0 and max(last) - min(last) <= AGREE * max(last)

    @property
    def rate_mbps(self) -> float | None:
        """The achievable rate: that of the last two windows where they agree, else from the end of slow start on.

        Slow start ends with the first window that reaches half of the greatest. None before the first whole window.
        """
        rates = self.mbps
        if not rates or max(rates) <= 0:
            return None
        first = len(rates) - 2 if self.settled else next(i for i, rate in enumerate(rates) if rate >= max(rates) / 2)
        return _rate(self._edges[first], self._edges[-1])


def _rate(begin: tuple[int, int], end: tuple[int, int]) -> float:
    return (end[1] - begin[1]) * 8e3 / (end[0] - begin[0])
