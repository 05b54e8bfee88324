"""What is said of a row of round trips: percentiles, jitter, loss. What was not measured is None, never 0."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Summary:
    """Round trips of one target in ms, None where no answer has a time.

    `lost_share` is 0..1 of what was sent, None where nothing was. `jitter_ms` is the mean change from one answer to
    the next; None below two answers. `last_ms` is None where the last
    probe has no time.
    """

    sent: int
    received: int
    lost_share: float | None
    min_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    mean_ms: float | None
    jitter_ms: float | None
    last_ms: float | None


def summarise(rtt_ms: Sequence[float | None], sent: int, received: int) -> Summary:
    """The summary of the probes in the order of sending; None stands for a probe without a usable time.

    Raises ValueError where the counts contradict each other or the times.
    """
    times = [value for value in rtt_ms if value is not None]
    if not len(times) <= received <= sent:
        raise ValueError(f"{len(times)} times, {received} received and {sent} sent cannot be")
    ordered = sorted(times)
    steps = [abs(later - earlier) for earlier, later in pairwise(times)]
    return Summary(
        sent=sent,
        received=received,
        lost_share=(sent - received) / sent if sent else None,
        min_ms=ordered[0] if ordered else None,
        p50_ms=quantile(ordered, 0.50),
        p95_ms=quantile(ordered, 0.95),
        p99_ms=quantile(ordered, 0.99),
        max_ms=ordered[-1] if ordered else None,
        mean_ms=math.fsum(ordered) / len(ordered) if ordered else None,
        jitter_ms=math.fsum(steps) / len(steps) if steps else None,
        last_ms=rtt_ms[-1] if rtt_ms else None,
    )


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The quantile of sorted values, between neighbours in proportion (as numpy and DuckDB do); None of nothing."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
