"""Results of pScheduler: what archivers are given, runs as its REST interface gives them, and a result alone.

Times are ISO 8601 durations. `rtt` is round trips; `trace` is one only where its last hop is the destination;
`throughput` is the rate from source to destination (`reverse` turns it), of the receiver where the result tells it;
`latency` and `latencybg` are one-way: their packets are counted, their delays are no round trips. Other kinds of test
are counted in a note. A test that did not succeed is a record of its error.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from probes.importers.collector import Collector
from probes.importers.esmond import METHOD, METHOD_ONE_WAY
from probes.importers.options import Options, overridden
from probes.importers.text import family_of, iso_time, number, plain_address, same_address, whole, words
from probes.record import Record

METHOD_TRACE: Final = "imported:perfsonar-trace"
_DURATION: Final = re.compile(
    r"P(?:(?P<days>\d+(?:\.\d+)?)D)?(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?(?:E[+-]?\d+)?)S)?)?",
    re.IGNORECASE,
)
_MS: Final = {"days": 86_400_000.0, "hours": 3_600_000.0, "minutes": 60_000.0, "seconds": 1_000.0}
_SHAPES: Final = {"roundtrips": "rtt", "paths": "trace", "histogram-latency": "latency", "packets-sent": "latency"}
_READ: Final = ("rtt", "trace", "throughput", "latency", "latencybg")
_MEND: Final = "leave the result out, or measure again"
_Figures = dict[str, Any]  # fields of a Record


class _UnusableError(ValueError):
    """A result that cannot become a record: its field, its value, and why."""

    def __init__(self, field: str, value: object, message: str) -> None:
        super().__init__(message)
        self.field, self.value = field, value


@dataclass(frozen=True, slots=True)
class _Test:
    """A result with what is known of its test."""

    row: int
    kind: str
    spec: dict[str, Any]
    result: dict[str, Any]
    source: str
    target: str
    time: Any


@dataclass
class Results:
    """Reads results one by one."""

    collector: Collector
    options: Options
    passed_over: Counter[str] = field(default_factory=Counter)

    def take(self, row: int, value: dict[str, Any]) -> None:
        """An archiver's input, a run, or a result alone."""
        test = _test(row, value)
        if test.kind and test.kind not in _READ:
            self.passed_over[test.kind] += 1
            return
        self.collector.read += 1
        try:
            self._add(test, self._figures(test))
        except _UnusableError as error:
            self.collector.bad(row, error.field, error.value, str(error), _MEND)

    def end(self) -> None:
        """Says what was passed over."""
        for kind, count in sorted(self.passed_over.items()):
            self.collector.note(f"passed over {count} tests of {kind}, which are no round trip and no rate")

    def _figures(self, test: _Test) -> _Figures:
        if test.result.get("succeeded") is False or not test.result:
            said = words(test.result.get("error")) or words(test.result.get("diags"))
            return {"error": said.partition("\n")[0] or "the test failed"}
        if test.kind == "rtt":
            return self._rtt(test)
        if test.kind == "trace":
            return self._trace(test)
        if test.kind == "throughput":
            return self._throughput(test)
        if test.kind:
            return self._one_way(test)
        raise _UnusableError("result", test.result, "is a result of no known test")

    def _rtt(self, test: _Test) -> _Figures:
        trips = _objects(test.result.get("roundtrips"))
        answers: dict[object, float | None] = {}
        errors = dict.fromkeys(words(one["error"]) for one in trips if words(one.get("error")))
        for position, trip in enumerate(trips):
            seq = whole(trip.get("seq"))
            key = f"position {position}" if seq is None else seq
            if "rtt" in trip and not words(trip.get("error")) and key not in answers:
                answers[key] = self._time_of(test.row, "rtt", trip["rtt"])
        sent, received, lost = (whole(test.result.get(name)) for name in ("sent", "received", "lost"))
        if sent is None:
            sent = received + lost if received is not None and lost is not None else len(trips) or None
        if sent is None:
            raise _UnusableError("sent", "", "neither packets nor their count")
        if len(answers) > sent:
            raise _UnusableError("sent", sent, f"is less than the {len(answers)} packets that were answered")
        address = next((words(one.get("ip")) for one in trips if "rtt" in one and not words(one.get("error"))), "")
        figures: _Figures = {"address": address, "error": "; ".join(errors) or None, "sent": sent}
        if answers or not received:
            times = tuple(time for time in answers.values() if time is not None)
            return figures | {"received": len(answers), "rtt_ms": times or None}
        spread = {name: self._time_of(test.row, said, test.result.get(said)) for name, said in _SUMMARY.items()}
        return figures | {"received": min(received, sent), **spread}

    def _time_of(self, row: int, name: str, value: object) -> float | None:
        time = milliseconds(value)
        if time is None or time <= 0:
            self.collector.bad(row, name, value, "is not a duration above 0", "the answer is counted without a time")
            return None
        return time

    def _trace(self, test: _Test) -> _Figures:
        listed = test.result.get("paths")
        paths = [_objects(one) for one in listed] if isinstance(listed, list) else []
        if not paths:
            raise _UnusableError("paths", listed if listed is not None else "", "is not a list of paths")
        ends = [path[-1] if path else {} for path in paths]
        target = self.options.target or test.target
        reached = [hop for hop in ends if "rtt" in hop and not words(hop.get("error")) and _is_at(hop, target)]
        times = [self._time_of(test.row, "rtt", hop["rtt"]) for hop in reached]
        errors = dict.fromkeys(words(hop["error"]) for hop in ends if words(hop.get("error")))
        why = "the destination did not answer" if target else "the result does not name its destination"
        return {
            "method": METHOD_TRACE,
            "address": words(reached[0].get("ip")) if reached else "",
            "sent": len(paths),
            "received": len(reached),
            "rtt_ms": tuple(time for time in times if time is not None) or None,
            "error": None if reached else "; ".join(errors) or why,
        }

    def _throughput(self, test: _Test) -> _Figures:
        sums = test.result.get("summary")
        sums = sums["summary"] if isinstance(sums, dict) and isinstance(sums.get("summary"), dict) else sums
        if not isinstance(sums, dict):
            raise _UnusableError("summary", sums if sums is not None else "", "is missing: the test has no rate")
        sent, lost = whole(sums.get("sent")), whole(sums.get("lost"))
        counted = sent is not None and lost is not None and sent > 0 and 0 <= lost <= sent
        counts: _Figures = {}
        if counted and sent is not None and lost is not None:
            counts = {"sent": sent, "received": sent - lost}
        rate = number(sums.get("receiver-throughput-bits"))
        if rate is None:
            rate = number(sums.get("throughput-bits"))
            if rate is not None and counts:
                rate *= counts["received"] / counts["sent"]
            else:
                self.collector.note("a rate without the receiver's figure is the tool's own, perhaps the sender's")
        if rate is None or rate < 0:
            raise _UnusableError("throughput-bits", sums.get("throughput-bits", ""), "is not a rate above 0 bit/s")
        down = test.spec.get("reverse") is True
        figures = counts | {"direction": "down" if down else "up", "loaded": True}
        return figures | ({"mbps": rate / 1e6} if rate > 0 else {"error": "nothing was transferred"})

    def _one_way(self, test: _Test) -> _Figures:
        names = ("packets-sent", "packets-received", "packets-lost")
        sent, received, lost = (whole(test.result.get(name)) for name in names)
        if sent is None or (received is None and lost is None):
            raise _UnusableError("packets-sent", test.result.get("packets-sent", ""), "sent and lost are not counted")
        arrived = sent - lost if lost is not None else received or 0
        if not 0 <= arrived <= sent:
            raise _UnusableError("packets-lost", lost, f"is not a part of {sent} packets")
        self.collector.note("one-way delays are no round trips: of those tests the packets are counted, without times")
        return {"method": METHOD_ONE_WAY, "sent": sent, "received": arrived, "direction": "up"}

    def _add(self, test: _Test, figures: _Figures) -> None:
        if self.options.source is None and not test.source:
            self.collector.note("a result does not name who measured: name the source")
        if self.options.target is None and not test.target:
            self.collector.note("a result alone does not name its target: name it, or give the whole run")
        time = iso_time(test.time)
        if time is None and self.options.observed_at is None:
            if test.time is not None:
                raise _UnusableError("start", test.time, "is not a date and time")
            self.collector.note("a result without a time has the time at which the file was last written")
        elif time is not None and not time[1]:
            self.collector.note("a time without a zone is taken as UTC")
        address = figures.pop("address", "")
        target = address if address and family_of(test.target) is None else test.target
        fields = {"method": METHOD, **figures}
        record = Record(
            observed_at=time[0] if time else self.options.file_time or 0,
            source=test.source,
            target=target,
            target_alias=test.target if test.target and test.target != target else None,
            family=family_of(target) or family_of(test.source),
            **fields,
        )
        self.collector.add(test.row, overridden(record, self.options))


_SUMMARY: Final = {"rtt_min_ms": "min", "rtt_avg_ms": "mean", "rtt_max_ms": "max"}


def is_result(value: Any) -> bool:
    """Whether an object is a result, a run, or what an archiver is given."""
    if not isinstance(value, dict):
        return False
    return "succeeded" in value or any(isinstance(value.get(key), dict) for key in ("result", "result-merged", "test"))


def milliseconds(duration: object) -> float | None:
    """Milliseconds of an ISO 8601 duration (days to seconds); None for anything else."""
    match = _DURATION.fullmatch(duration.replace(",", ".")) if isinstance(duration, str) else None
    if match is None or not any(match.groupdict().values()):
        return None
    return number(sum(float(figure) * _MS[unit] for unit, figure in match.groupdict().items() if figure))


def _test(row: int, value: dict[str, Any]) -> _Test:
    """The parts of a result, wherever its wrapping has them."""
    outer = value["result"] if _part(_part(value, "result"), "test") else value
    test, schedule = _part(outer, "test"), _part(outer, "schedule")
    spec = _part(test, "spec")
    result = outer if "succeeded" in outer else _part(outer, "result-merged") or _part(outer, "result")
    if result.get("succeeded") is not False and _part(result, "result"):  # what a tool gives to its own pScheduler
        result = result["result"]
    kind = words(test.get("type")) or next((shape for key, shape in _SHAPES.items() if key in result), "")
    if not kind and "summary" in result and "intervals" in result:
        kind = "throughput"
    listed = outer.get("participants")
    first = listed[0] if isinstance(listed, list) and listed else None
    lead = words(first.get("host")) if isinstance(first, dict) else words(first)
    source, target = plain_address(words(spec.get("source")) or lead), plain_address(words(spec.get("dest")))
    return _Test(row, kind, spec, result, source, target, schedule.get("start", outer.get("start-time")))


def _part(value: dict[str, Any], key: str) -> dict[str, Any]:
    part = value.get(key)
    return part if isinstance(part, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _is_at(hop: dict[str, Any], target: str) -> bool:
    name = words(hop.get("hostname")).rstrip(".").lower()
    return bool(target) and (same_address(words(hop.get("ip")), target) or name == target.rstrip(".").lower())
