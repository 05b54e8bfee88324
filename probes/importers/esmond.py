"""Points of an esmond archive (perfSONAR to 4.x): what its REST interface, esmond-ps-get and a pScheduler write.

A point is `ts` and `val`, beside the type of event and the ends where the file names them (`path` has the type and the
key of the metadata; source and destination are in the metadata only). `throughput` is bit/s, source to destination.
`histogram-rtt` counts round trips by milliseconds. `histogram-owdelay` counts one-way delays, which are no round trips
and give no record. Losses are counted where packets sent and lost stand at one time: as a fraction, or as two points.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from probes.importers.collector import Collector
from probes.importers.options import Options, overridden
from probes.importers.text import family_of, iso_time, number, plain_address, whole, words
from probes.record import Record

METHOD: Final = "imported:perfsonar"
METHOD_ONE_WAY: Final = "imported:perfsonar-oneway"  # a loss on one way is not one of the round trip
_MEND: Final = "leave the point out, or fetch it again"
_SECONDS_BELOW: Final = 1e11
_COUNTS: Final = {  # type of event → (field, whether the packets came back)
    "packet-count-sent": ("sent", False),
    "packet-count-lost": ("lost", False),
    "packet-count-lost-bidir": ("lost", True),
}
_RATES: Final = {"packet-loss-rate": METHOD_ONE_WAY, "packet-loss-rate-bidir": METHOD}


@dataclass(frozen=True, slots=True)
class _Point:
    row: int
    event: str
    time: int
    value: Any
    source: str
    target: str
    key: str  # of the metadata


@dataclass
class Points:
    """Reads points one by one; counts that stand alone wait for their other half until `end`."""

    collector: Collector
    options: Options
    passed_over: Counter[str] = field(default_factory=Counter)
    _waiting: dict[tuple[str, str, str, int], dict[str, tuple[_Point, int]]] = field(default_factory=dict)

    def take(self, row: int, point: dict[str, Any]) -> None:
        """One point, or several of one time (`val` is a list of types and values)."""
        time = _time(point.get("ts", point.get("timestamp")))
        if time is None:
            self.collector.read += 1
            self.collector.bad(row, "ts", point.get("ts", point.get("timestamp", "")), "is not a time", _MEND)
            return
        if whole(point.get("is_valid")) == 0:
            self.collector.read += 1
            self.passed_over["points that the archive marks as not valid"] += 1
            return
        for event, value in _events(point):
            self.collector.read += 1
            path = point.get("path")
            key = words(path[2]) if isinstance(path, list) and len(path) > 2 else words(point.get("metadata-key"))
            source, target = (plain_address(words(point.get(name))) for name in ("source", "destination"))
            self._one(_Point(row, event, time, value, source, target, key))

    def end(self) -> None:
        """What has no other half, and what was passed over."""
        for halves in self._waiting.values():
            for name in halves:
                self.passed_over[f"packets {name} whose other count is missing"] += 1
        for what, count in sorted(self.passed_over.items()):
            self.collector.note(f"passed over {count} of {what}")

    def _one(self, point: _Point) -> None:
        event, value = point.event, point.value
        if value is None:
            self.passed_over["points without a value"] += 1
        elif not event:
            self.collector.bad(point.row, "event-type", value, "the file does not say what this is a figure of", _MEND)
        elif event == "throughput":
            self._throughput(point)
        elif event == "histogram-rtt":
            self._histogram(point)
        elif event in _RATES and isinstance(value, dict):
            self._counts(point, whole(value.get("denominator")), whole(value.get("numerator")), _RATES[event])
        elif event in _COUNTS:
            self._half(point)
        elif event == "failures":
            said = words(value.get("error") or value.get("msg")) if isinstance(value, dict) else words(value)
            self._add(point, error=said or "the test failed")
        elif "owdelay" in event:
            self.passed_over["one-way delays, which are no round trips"] += 1
        else:
            self.passed_over[f"{event}, which is no figure of a record"] += 1

    def _throughput(self, point: _Point) -> None:
        rate = number(point.value)
        if rate is None or rate < 0:
            self.collector.bad(point.row, "throughput", point.value, "is not a rate above 0 bit/s", _MEND)
        elif rate == 0:
            self._add(point, direction="up", error="nothing was transferred")
        else:
            self._add(point, mbps=rate / 1e6, direction="up", loaded=True)

    def _histogram(self, point: _Point) -> None:
        if not isinstance(point.value, dict) or not point.value:
            self.collector.bad(point.row, "histogram-rtt", point.value, "is not a histogram", _MEND)
            return
        if "minimum" in point.value or "median" in point.value:
            self._statistics(point)
            return
        pairs = [(number(bucket), whole(count)) for bucket, count in point.value.items()]
        sound = sorted((b, c) for b, c in pairs if b is not None and b >= 0 and c is not None and c > 0)
        if len(sound) < len(pairs):
            message = "holds buckets that are not milliseconds and counts"
            self.collector.bad(point.row, "histogram-rtt", point.value, message, _MEND)
            return
        total = sum(count for _, count in sound)
        mean = sum(bucket * count for bucket, count in sound) / total
        p50, p95 = (_quantile(sound, share * total) for share in (0.5, 0.95))
        self._add(
            point,
            received=total,
            rtt_min_ms=sound[0][0] or None,  # a bucket of 0.00 ms is a time that was rounded away
            rtt_p50_ms=p50 or None,
            rtt_p95_ms=p95 or None,
            rtt_avg_ms=mean or None,
            rtt_max_ms=sound[-1][0] or None,
        )

    def _statistics(self, point: _Point) -> None:
        """A histogram that was summed up over hours or days."""
        names = {
            "rtt_min_ms": "minimum",
            "rtt_p50_ms": "median",
            "rtt_p95_ms": "percentile-95",
            "rtt_avg_ms": "mean",
            "rtt_max_ms": "maximum",
            "rtt_std_ms": "standard-deviation",
        }
        found = {name: number(point.value.get(said)) for name, said in names.items()}
        times: dict[str, Any] = {
            name: t for name, t in found.items() if t is not None and (t > 0 or (t == 0 and name == "rtt_std_ms"))
        }
        if not times:
            self.collector.bad(point.row, "histogram-rtt", point.value, "holds no time above 0 ms", _MEND)
            return
        self._add(point, METHOD, **times)

    def _half(self, point: _Point) -> None:
        """A count of packets, with the count that belongs to it."""
        name, comes_back = _COUNTS[point.event]
        count = whole(point.value)
        if count is None or count < 0:
            self.collector.bad(point.row, point.event, point.value, "is not a count of packets", _MEND)
            return
        place = (point.key, point.source, point.target, point.time)
        halves = self._waiting.setdefault(place, {})
        halves[name] = (point, count)
        if len(halves) == 2:
            lost = halves["lost"][0]
            method = METHOD if comes_back or lost.event.endswith("-bidir") else METHOD_ONE_WAY
            del self._waiting[place]
            first = replace(point, row=min(one.row for one, _ in halves.values()))
            self._counts(first, halves["sent"][1], halves["lost"][1], method)

    def _counts(self, point: _Point, sent: int | None, lost: int | None, method: str) -> None:
        if sent is None or lost is None or not 0 <= lost <= sent:
            self.collector.bad(point.row, point.event, point.value, "is not a part of the packets sent", _MEND)
            return
        direction = "up" if method == METHOD_ONE_WAY else None
        self._add(point, method, sent=sent, received=sent - lost, direction=direction)

    def _add(self, point: _Point, method: str = METHOD, /, **figures: Any) -> None:
        if not (point.source and point.target) and None in (self.options.source, self.options.target):
            self.collector.note("a point does not name its ends, which are in the metadata: name source and target")
        record = Record(
            observed_at=point.time,
            source=point.source,
            target=point.target,
            method=method,
            family=family_of(point.target) or family_of(point.source),
            **figures,
        )
        self.collector.add(point.row, overridden(record, self.options))


def _events(point: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    value = point.get("val", point.get("value"))
    if isinstance(value, list) and value and all(isinstance(one, dict) and "event-type" in one for one in value):
        events = [(words(one["event-type"]), one.get("val")) for one in value]
        told = any(event in _RATES and isinstance(rate, dict) for event, rate in events)  # what the counts say again
        yield from ((event, one) for event, one in events if not (told and event in _COUNTS))
        return
    path = point.get("path")
    named = words(point.get("event-type")) or words(point.get("event_type"))
    event = named or (words(path[1]) if isinstance(path, list) and len(path) > 1 else "")
    if value is None and "median" in point:  # esmond-ps-get writes the statistics beside the time
        value = {
            "minimum": point.get("min"),
            "median": point.get("median"),
            "maximum": point.get("max"),
            "mean": point.get("mean"),
            "percentile-95": point.get("percentile_95"),
            "standard-deviation": point.get("standard_deviation"),
        }
    yield event.replace("_", "-"), value


def _time(stamp: object) -> int | None:
    """`ts` is seconds in the archive's answers and milliseconds in its store; esmond-ps-get writes a date in UTC."""
    seconds = number(stamp)
    if seconds is None:
        found = iso_time(stamp)
        return found[0] if found else None
    if not 0 < seconds < 1e14:
        return None
    return round(seconds * 1000 if seconds < _SECONDS_BELOW else seconds) * 1_000_000


def _quantile(sound: list[tuple[float, int]], rank: float) -> float:
    seen = 0
    for bucket, count in sound:
        seen += count
        if seen >= rank:
            return bucket
    return sound[-1][0]
