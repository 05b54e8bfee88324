"""The native record: one row is what one agent learnt about one (source, target) at one time.

Units: milliseconds, Mbit/s (10^6 bit/s), bytes. What is not known is null. A lost packet is null too, and counted:
`sent - received`. No zero, -1, infinity or NaN ever stands for something that was not measured.

`rtt_ms` holds one value for each answer whose time is usable, so `len(rtt_ms) <= received <= sent`; duplicates and
late answers are not in it. The `rtt_*_ms` summaries are filled only where the origin gives no samples (an aggregate, a
quiet ping); `rtt_min_ms` ... of a record with samples are for its reader to compute.
`source_alias` and `target_alias` are a second name of the same end (the host name of an address, the public address
of a probe), for the lookup of endpoints when the first name is not listed.
The key of a record, for at-least-once delivery, is (`agent`, `boot_id`, `seq`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

REQUIRED: Final = ("observed_at", "source", "target", "method")
METHODS: Final = ("icmp", "tcp", "stamp", "http", "train", "ndt7")
RTT_SUMMARIES: Final = ("rtt_min_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_avg_ms", "rtt_max_ms")

# Before the first ping could have been kept (a probe whose clock stands at 1970), and past any unit mistake.
EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One native record; the names and units are those of `probes.table.SCHEMA`.

    `observed_at` is nanoseconds since 1970 UTC; `utc_ns` makes it of a datetime. `source` and `target` are "" where
    the origin does not say. `direction` is `up` for source to target, `down` for target to source.
    """

    observed_at: int
    source: str
    target: str
    method: str
    agent: str | None = None
    source_alias: str | None = None
    target_alias: str | None = None
    family: int | None = None
    sent: int | None = None
    received: int | None = None
    rtt_ms: tuple[float, ...] | None = None
    rtt_min_ms: float | None = None
    rtt_p50_ms: float | None = None
    rtt_p95_ms: float | None = None
    rtt_avg_ms: float | None = None
    rtt_std_ms: float | None = None
    rtt_max_ms: float | None = None
    mbps: float | None = None
    direction: str | None = None
    bytes: int | None = None
    loaded: bool | None = None
    error: str | None = None
    clock_ok: bool | None = None
    boot_id: str | None = None
    seq: int | None = None


def utc_ns(time: datetime) -> int:
    """Nanoseconds since 1970 UTC of a datetime; one without a zone is UTC. Exact, no floating point."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000
