"""smokeping_prober's metrics, one record a target and scrape: counts since the prober began, or since the last scrape.

`smokeping_requests_total` less the count of `smokeping_response_duration_seconds` is what was lost, and what is still
under way. Counters begin at 0 when the prober starts: in a series of scrapes each record is the difference to the one
before, and a counter that fell is a restart; in a single scrape a restart cannot be seen, which a note says. There are
no single times: the mean is exact, and a percentile is the upper end of the bucket that it lies in (at most twice the
truth with the prober's own buckets), empty where that bucket has no end. Seconds become milliseconds.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from probes.importers.collector import Collector
from probes.importers.exposition import Mark, Sample, host_of, samples
from probes.importers.options import Options, overridden
from probes.importers.text import family_of, number
from probes.record import Record

METHOD: Final = "imported:smokeping"
_REQUESTS: Final = "smokeping_requests_total"
_TIMES: Final = "smokeping_response_duration_seconds"
_NAMES: Final = (_REQUESTS, f"{_TIMES}_bucket", f"{_TIMES}_count", f"{_TIMES}_sum")
_MEND: Final = "scrape again, or leave it out"


@dataclass
class _Scrape:
    """The counters of one target at one time."""

    row: int
    labels: dict[str, str]
    time: int | None
    values: dict[str, float] = field(default_factory=dict)
    buckets: dict[float, float] = field(default_factory=dict)  # upper end in s → answers up to there


@dataclass
class _Counts:
    """Counters that are sound, and how many answers of them were recorded."""

    sent: int
    received: int
    seconds: float | None
    buckets: dict[float, int]
    recorded: int = 0


def read(stream: BinaryIO, collector: Collector, options: Options) -> None:
    """Reads sample by sample; memory holds one scrape, or the whole file where no scrape ends."""
    reader = _Reader(collector, options)
    for found in samples(stream, collector):
        if isinstance(found, Mark):
            reader.mark(found)
        elif found.name in _NAMES:
            reader.take(found)
    reader.end()
    if not reader.found:
        collector.bad(0, "file", "", "holds no counters of smokeping_prober", "give what its /metrics answers")


@dataclass
class _Reader:
    collector: Collector
    options: Options
    scrapes: dict[tuple[object, ...], _Scrape] = field(default_factory=dict)
    before: dict[tuple[object, ...], _Counts] = field(default_factory=dict)
    time: int | None = None
    found: bool = False

    def mark(self, mark: Mark) -> None:
        if mark.begins:
            self.end()
            self.time = None
        elif self.time is None:
            self.time = mark.time

    def take(self, sample: Sample) -> None:
        self.found = True
        end = sample.labels.pop("le", None)
        key = (sample.time, *sorted(sample.labels.items()))
        scrape = self.scrapes.get(key)
        upper = None if end is None else float("inf") if end in ("+Inf", "Inf", "inf") else number(end)
        seen = scrape is not None and (upper in scrape.buckets if end is not None else sample.name in scrape.values)
        if scrape is not None and seen:  # the next scrape has begun
            self._finish(self.scrapes.pop(key))
            scrape = None
        if scrape is None:
            scrape = self.scrapes[key] = _Scrape(sample.row, sample.labels, sample.time)
        if sample.name != f"{_TIMES}_bucket":
            scrape.values[sample.name] = sample.value
        elif upper is None:
            self.collector.bad(sample.row, "le", end or "", "is not the end of a bucket", _MEND)
        else:
            scrape.buckets[upper] = sample.value

    def end(self) -> None:
        scrapes, self.scrapes = list(self.scrapes.values()), {}
        for scrape in sorted(scrapes, key=lambda one: one.time or 0):
            self._finish(scrape)

    def _finish(self, scrape: _Scrape) -> None:
        self.collector.read += 1
        counts = self._counts(scrape)
        if counts is None:
            return
        key = tuple(sorted(scrape.labels.items()))
        before = self.before.get(key)
        if before is not None and _restarted(before, counts):
            self.collector.note("a counter fell: the prober was started anew, and its counts begin at 0 again")
            before = None
        if before is None:
            self.collector.note("the first scrape has the counts since the prober was started, which it does not tell")
        self.before[key] = counts
        self._add(scrape, counts, before or _Counts(0, 0, 0.0, dict.fromkeys(counts.buckets, 0)))

    def _counts(self, scrape: _Scrape) -> _Counts | None:
        """The counters where they are whole and sound; reports each that is not."""
        sent = scrape.values.get(_REQUESTS)
        received = scrape.values.get(f"{_TIMES}_count", scrape.buckets.get(math.inf))
        for name, value in ((_REQUESTS, sent), (f"{_TIMES}_count", received)):
            if value is None or not math.isfinite(value) or value < 0 or value != int(value):
                text = "" if value is None else str(value)
                message = "is missing: the scrape was cut off" if value is None else "is not a count"
                self.collector.bad(scrape.row, name, text, message, _MEND)
                return None
        assert sent is not None
        assert received is not None
        seconds = scrape.values.get(f"{_TIMES}_sum")
        if seconds is not None and not math.isfinite(seconds):
            self.collector.bad(scrape.row, f"{_TIMES}_sum", str(seconds), "is not a time", "the mean is left out")
            seconds = None
        return _Counts(int(sent), int(received), seconds, self._buckets(scrape, received))

    def _buckets(self, scrape: _Scrape, received: float) -> dict[float, int]:
        """The cumulative buckets, {} where they are not: not whole, falling, or not of `received` answers."""
        ends = sorted(scrape.buckets)
        figures = [scrape.buckets[end] for end in ends]
        sound = all(math.isfinite(one) and one >= 0 for one in figures) and figures == sorted(figures)
        if ends and (not sound or ends[-1] != math.inf or figures[-1] != received):
            message = "do not rise to the count of answers: the histogram is cut off or damaged"
            self.collector.bad(scrape.row, f"{_TIMES}_bucket", "", message, "the percentiles are left out")
            return {}
        return dict(zip(ends, map(int, figures), strict=True))

    def _add(self, scrape: _Scrape, counts: _Counts, before: _Counts) -> None:
        sent, answers = counts.sent - before.sent, counts.received - before.received
        # An answer may come after the scrape that its request was counted in: it is counted here, up to what was sent.
        received = min(counts.received - before.recorded, sent)
        counts.recorded = before.recorded + received
        if sent == 0:
            return
        if counts.received > counts.sent:
            self.collector.note("more answers than requests: what came twice is not counted")
        elif received < sent:
            self.collector.note("a request that was under way at the time of a scrape counts as lost")
        in_time = {end: one - before.buckets.get(end, 0) for end, one in counts.buckets.items()}
        same = before.buckets.keys() == counts.buckets.keys()
        p50, p95 = (_upper_end(in_time, share) if same and received else None for share in (0.5, 0.95))
        mean = None
        if answers > 0 and received and counts.seconds is not None and before.seconds is not None:
            mean = (counts.seconds - before.seconds) / answers * 1000
            if mean <= 0:
                self.collector.bad(scrape.row, f"{_TIMES}_sum", str(counts.seconds), "is no sum of times", _MEND)
                mean = None
        if p50 is not None:
            self.collector.note("percentiles are the upper ends of the histogram's buckets")
        self._record(scrape, sent, received, mean, (p50, p95))

    def _record(
        self,
        scrape: _Scrape,
        sent: int,
        received: int,
        mean: float | None,
        percentiles: tuple[float | None, float | None],
    ) -> None:
        labels = scrape.labels
        target, name = labels.get("ip") or labels.get("host", ""), labels.get("host", "")
        time = scrape.time if scrape.time is not None else self.time
        if time is None and self.options.observed_at is None:
            self.collector.note("a scrape without time stamps has the time at which the file was last written")
        source = labels.get("source") or host_of(labels.get("instance", ""))
        if not source and self.options.source is None:
            self.collector.note("a scrape does not name the prober: name the source, or the counts belong to nobody")
        record = Record(
            observed_at=time if time is not None else self.options.file_time or 0,
            source=source,
            source_alias=_alias(labels, source),
            target=target,
            target_alias=name if name and name != target else None,
            method=METHOD,
            family=family_of(target),
            sent=sent,
            received=received,
            rtt_avg_ms=mean,
            rtt_p50_ms=percentiles[0],
            rtt_p95_ms=percentiles[1],
        )
        self.collector.add(scrape.row, overridden(record, self.options))


def _alias(labels: Mapping[str, str], source: str) -> str | None:
    instance = host_of(labels.get("instance", ""))
    return instance if instance and instance != source else None


def _restarted(before: _Counts, now: _Counts) -> bool:
    return now.sent < before.sent or now.received < before.received


def _upper_end(buckets: Mapping[float, int], share: float) -> float | None:
    """The end (ms) of the bucket in which this share of the answers is reached; None where it has no end."""
    total = buckets.get(math.inf, 0)
    if total <= 0:
        return None
    end = next(end for end, count in buckets.items() if count >= share * total)
    return end * 1000 if 0 < end < math.inf else None
