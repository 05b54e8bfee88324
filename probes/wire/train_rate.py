"""From the times at which the packets of a train arrived to the rate of the narrowest link that they came through.

A train longer than every bucket on its way leaves the narrowest link at that link's rate. Its first part is let
through faster, by tokens that had been saved, and is dropped. Timestamps come in lumps where the receiver's card, its
driver (GRO) or its scheduler hands over several packets at once: of each lump only the last says when the link was
done with all of them. A pause within the train (a stalled machine) shifts what follows and is no part of the slope.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DROPPED: Final = 0.4
"""The part of a train at its beginning that is not believed."""
LEAST_PACKETS: Final = 20
"""A queue of 64 KB keeps some 40 packets of a train that comes all at once, and they leave it at the link's rate."""
LEAST_LUMPS: Final = 10
LUMP: Final = 0.25
"""Packets nearer than this part of the mean distance came in one lump."""
SETTLED: Final = 0.04
"""The rates of the first and of the second half of what is believed differ by this part at most."""
_ROOM: Final = 8.0
"""A wait is a pause where it exceeds what its packets take by so many median deviations, and by _LEAST_PAUSE."""
_LEAST_PAUSE: Final = 0.5
_LEAST_SEGMENT: Final = 4
_LAG: Final = 8
"""The usual pace is that over an eighth of the train: a stall spoils few such stretches, and their median none."""
_LEAST_USED: Final = 0.75
_LONGEST: Final = 3


class NotMeasurableError(ValueError):
    """A train that says nothing of the path's capacity; the message says why."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Packets a second; `spread` is the standard error of it as a part of it; lumps and pauses that were found."""

    packets_per_s: float
    spread: float
    lumps: int
    pauses: int


def rate(seq: NDArray[np.int64], time_ns: NDArray[np.int64], sent: int) -> Rate:
    """The rate at which a train of `sent` packets came out of the narrowest link.

    `seq` (n,) numbers in the train, `time_ns` (n,) when each arrived, in any order; of copies the first counts.
    What a full queue drops leaves the rate as it is; what is lost behind the narrowest link shows as a pause.
    Raises NotMeasurableError.
    """
    times = _first_copies(seq, time_ns)
    if len(times) < LEAST_PACKETS:
        raise NotMeasurableError(f"only {len(times)} of {sent} packets arrived")
    count, at = _lumps(times[int(len(times) * DROPPED) :])
    if len(count) < LEAST_LUMPS:
        raise NotMeasurableError(
            f"{len(times)} packets arrived in {len(count)} lumps: faster than the receiver can tell apart"
        )
    punctual = _on_time(count, at)
    if punctual.sum() < max(LEAST_LUMPS, len(count) // 4):
        raise NotMeasurableError(
            f"only {punctual.sum()} of {len(count)} lumps came on time: too busy a machine or path"
        )
    count, at = count[punctual], at[punctual]
    found = _fit(count, at)
    middle = len(count) // 2
    halves = [_fit(count[part], at[part]).packets_per_s for part in (slice(middle + 1), slice(middle, None))]
    if abs(halves[0] - halves[1]) > (SETTLED + 4 * found.spread) * found.packets_per_s:
        raise NotMeasurableError(
            f"the rate moved from {halves[0]:.0f} to {halves[1]:.0f} packets/s within the train: "
            "a bucket larger than the train, or other traffic"
        )
    return found


def _first_copies(seq: NDArray[np.int64], time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Times of arrival in their order, one a packet."""
    order = np.argsort(time_ns, kind="stable")
    _, first = np.unique(seq[order], return_index=True)
    return np.sort(time_ns[order][first])


def _lumps(times: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each lump: how many packets had come with it and before it, and when its last one came (ns)."""
    gaps = np.diff(times)
    usual = np.sort(gaps)[: max(len(gaps) - _LONGEST, 1)]  # one long pause is not to make one lump of all the rest
    last = np.append(gaps > LUMP * usual.mean(), True)
    return np.flatnonzero(last).astype(np.float64), (times - times[0])[last].astype(np.float64)


def _on_time(count: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which lumps were not held back by the receiver: no later one stands before them, at the usual pace.

    A receiver that slept hands over late what had long come, and catches up: only who comes later can show it.
    """
    lag = max(len(count) // _LAG, 1)
    pace = float(np.median((at[lag:] - at[:-lag]) / (count[lag:] - count[:-lag])))
    delay = at - pace * count
    least_later = np.minimum.accumulate(delay[::-1])[::-1]
    return delay <= least_later + LUMP * pace


def _fit(count: NDArray[np.float64], at: NDArray[np.float64]) -> Rate:
    """Least squares of time over packets, with one slope and a level of its own for each stretch between pauses."""
    lumps = len(count)
    steps, waits = np.diff(count), np.diff(at)
    pace = float(np.median(waits / steps))
    late = waits - pace * steps
    room = max(_LEAST_PAUSE * pace, _ROOM * float(np.median(np.abs(late))))
    starts = np.concatenate([[0], np.flatnonzero(late > room) + 1, [lumps]])
    short = np.diff(starts) < _LEAST_SEGMENT
    used, stretches = int(np.diff(starts)[~short].sum()), int((~short).sum())
    if used < max(_LEAST_USED * lumps, _LEAST_SEGMENT) or (short[1:] & short[:-1]).any():
        raise NotMeasurableError(
            f"{len(starts) - 2} pauses within the train: a bucket larger than the train, or too busy a machine or path"
        )
    s_xx = s_xy = s_yy = 0.0
    for start, stop in zip(starts[:-1][~short].tolist(), starts[1:][~short].tolist(), strict=True):
        x, y = count[start:stop] - count[start:stop].mean(), at[start:stop] - at[start:stop].mean()
        s_xx, s_xy, s_yy = s_xx + float(x @ x), s_xy + float(x @ y), s_yy + float(y @ y)
    if s_xy <= 0:
        raise NotMeasurableError("the packets all bear one time")
    slope = s_xy / s_xx
    residual = max(s_yy - slope * s_xy, 0.0)
    spread = float(np.sqrt(residual / max(used - stretches - 1, 1) / s_xx)) / slope
    return Rate(1e9 / slope, spread, lumps, len(starts) - 2)
