"""Round trips to many endpoints: arrays while they are measured, one native record an endpoint afterwards."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from probes.methods.endpoint import Endpoint
from probes.record import Record
from probes.wire.watch import Watch


@dataclass(frozen=True, eq=False)
class Sweep:
    """What came back of T endpoints × K probes.

    `sent_at_ns` (T, K) is nanoseconds since 1970 UTC, 0 where the probe never left this machine; such a probe is not
    counted as sent. `rtt_ms` (T, K) is NaN where no answer came whose time is usable. `answered` (T, K) says that an
    answer came, with a usable time or without. `errors` names what the network or the kernel said, by endpoint.
    `clock_ok` is False where the wall clock moved while the sweep was under way; round trips that were taken over
    the step are already NaN.
    """

    method: str
    endpoints: tuple[Endpoint, ...]
    started_ns: int
    sent_at_ns: NDArray[np.int64]
    rtt_ms: NDArray[np.float64]
    answered: NDArray[np.bool_]
    clock_ok: bool
    errors: Mapping[int, str] = field(default_factory=dict)


class Part(NamedTuple):
    """What one socket brought of a sweep: `rows` of its endpoints (H,), arrays (H, K), what was said by place in H."""

    rows: NDArray[np.int64]
    sent_at_ns: NDArray[np.int64]
    rtt_ms: NDArray[np.float64]
    answered: NDArray[np.bool_]
    said: Mapping[int, Sequence[str]]


def assembled(
    method: str,
    endpoints: Sequence[Endpoint],
    probes: int,
    parts: Iterable[Part],
    errors: Mapping[int, str],
    watch: Watch,
) -> Sweep:
    """The sweep of all parts; endpoints without a part were not sent anything, and `errors` says why."""
    shape, told = (len(endpoints), probes), dict(errors)
    sent_at_ns: NDArray[np.int64] = np.zeros(shape, np.int64)
    rtt_ms: NDArray[np.float64] = np.full(shape, np.nan)
    answered: NDArray[np.bool_] = np.zeros(shape, np.bool_)
    for part in parts:
        sent_at_ns[part.rows], rtt_ms[part.rows], answered[part.rows] = part.sent_at_ns, part.rtt_ms, part.answered
        told |= {int(part.rows[place]): "; ".join(said) for place, said in part.said.items()}
    return Sweep(
        method, tuple(endpoints), watch.first.realtime_ns, sent_at_ns, rtt_ms, answered, watch.steady,
        dict(sorted(told.items())),
    )  # fmt: skip


def records(sweep: Sweep, source: str) -> list[Record]:
    """One record an endpoint, in their order; agent, boot_id and seq are for whoever keeps them."""
    left = sweep.sent_at_ns > 0
    usable = sweep.answered & np.isfinite(sweep.rtt_ms) & (sweep.rtt_ms > 0)
    sent, received = left.sum(axis=1).tolist(), (sweep.answered & left).sum(axis=1).tolist()
    first = np.where(left, sweep.sent_at_ns, np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
    times = np.where(left.any(axis=1), first, sweep.started_ns).tolist()
    found = []
    for row, endpoint in enumerate(sweep.endpoints):
        samples = tuple(sweep.rtt_ms[row, usable[row]].tolist())
        found.append(
            Record(
                observed_at=times[row],
                source=source,
                target=endpoint.name,
                target_alias=endpoint.alias,
                method=sweep.method,
                family=endpoint.family,
                sent=sent[row],
                received=received[row],
                rtt_ms=samples or None,
                error=sweep.errors.get(row),
                clock_ok=sweep.clock_ok,
            )
        )
    return found
