"""scamper's JSON (`-O json`, sc_warts2json): ping and trace, one record a result; other kinds are counted in a note.

A ping's answer is one from the destination itself: an echo reply, a port unreachable to UDP, a segment of TCP. An ICMP
error of a router on the way is no answer, though scamper gives its time. Answers are counted once a packet (`seq`):
`statistics` is a cross-check. A trace counts the packets of the hop at which the destination answered; a trace that did
not get there is a record of its `stop_reason` and of what was sent last. Times are milliseconds, `start` is seconds and
microseconds since 1970 UTC. M-Lab's files put a line of metadata first, which is passed over, as are cycle marks.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from probes.importers.collector import Collector
from probes.importers.json_values import Broken, values
from probes.importers.options import Options, overridden
from probes.importers.text import family_of, number, plain_address, same_address, text_of, whole, words
from probes.record import Record

METHOD: Final = "imported:scamper"
# A method of its own: many hosts answer no trace, and that is no loss of the pings beside it.
METHOD_TRACE: Final = "imported:scamper-trace"
_MEND: Final = "leave the result out, or write it again with sc_warts2json"
_METADATA: Final = ("UUID", "TracerouteCallerVersion")
# By the version of IP: types of an echo or time stamp reply, (type, code) of a port unreachable, type of time exceeded.
_REPLIES: Final = {4: (0, 14), 6: (129,)}
_PORT_UNREACHABLE: Final = {4: (3, 3), 6: (1, 4)}
_EXPIRED: Final = {4: 11, 6: 3}
_MOST_ATTEMPTS: Final = 255
_IP_TCP: Final = 6


class _UnusableError(ValueError):
    """A result that cannot become a record: its field, its value, and why."""

    def __init__(self, field: str, value: object, message: str) -> None:
        super().__init__(message)
        self.field, self.value = field, value


@dataclass(frozen=True, slots=True)
class _Counts:
    sent: int
    received: int
    rtt_ms: tuple[float, ...] = ()
    rtt_min_ms: float | None = None
    rtt_avg_ms: float | None = None
    rtt_max_ms: float | None = None
    error: str | None = None


def read(stream: BinaryIO, collector: Collector, options: Options) -> None:
    """Reads results one after another; memory holds the records and one result."""
    text = text_of(stream)
    others: Counter[str] = Counter()
    found = False
    for row, value in values(text, _is_result):
        found = True
        for result in value if isinstance(value, list) else [value]:
            _read_one(result, row, others, collector, options)
    text.detach()
    if others:
        listed = ", ".join(f"{count} of {kind}" for kind, count in sorted(others.items()))
        collector.note(f"passed over results that hold no round trip to a target: {listed}")
    if not found:
        collector.bad(0, "file", "", "holds no result of scamper", "give the output of sc_warts2json, not warts itself")


def _is_result(value: Any) -> bool:
    return isinstance(value, dict) and ("type" in value or any(key in value for key in _METADATA))


def _read_one(result: Any, row: int, others: Counter[str], collector: Collector, options: Options) -> None:
    if isinstance(result, Broken):
        collector.read += 1
        collector.bad(row, "result", result.text, f"is not JSON: {result.message}", _MEND)
        return
    if not _is_result(result):
        collector.read += 1
        collector.bad(row, "result", result, "is not a result of scamper", _MEND)
        return
    kind = words(result.get("type")).lower()
    if kind in ("cycle-start", "cycle-stop", "cycle-def") or (not kind and "type" not in result):
        return
    if kind not in ("ping", "trace"):
        others[kind or "no type"] += 1
        return
    collector.read += 1
    try:
        record = _record(result, kind, row, collector)
    except _UnusableError as error:
        collector.bad(row, error.field, error.value, str(error), _MEND)
    else:
        collector.add(row, overridden(record, options))


def _record(result: dict[str, Any], kind: str, row: int, collector: Collector) -> Record:
    target, source = plain_address(words(result.get("dst"))), plain_address(words(result.get("src")))
    if not target:
        raise _UnusableError("dst", result.get("dst", ""), "is not the address of a destination")
    counts = _ping(result, target, row, collector) if kind == "ping" else _trace(result, target, row, collector)
    return Record(
        observed_at=_time(result),
        source=source,
        target=target,
        method=METHOD if kind == "ping" else METHOD_TRACE,
        family=family_of(target),
        sent=counts.sent,
        received=counts.received,
        rtt_ms=counts.rtt_ms or None,
        rtt_min_ms=counts.rtt_min_ms,
        rtt_avg_ms=counts.rtt_avg_ms,
        rtt_max_ms=counts.rtt_max_ms,
        error=counts.error,
    )


def _time(result: dict[str, Any]) -> int:
    start = result.get("start")
    seconds = whole(start.get("sec")) if isinstance(start, dict) else None
    micros = whole(start.get("usec", 0)) if isinstance(start, dict) else None
    if seconds is None or micros is None or not 0 < seconds < 10**10 or not 0 <= micros < 10**6:
        raise _UnusableError("start", start if start is not None else "", "is not seconds and microseconds since 1970")
    return seconds * 1_000_000_000 + micros * 1_000


def _objects(value: Any, field: str, row: int, collector: Collector) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _UnusableError(field, value, "is not a list")
    for odd in (one for one in value if not isinstance(one, dict)):
        collector.bad(row, field, odd, "is not an answer", _MEND)
    return [one for one in value if isinstance(one, dict)]


def _usable_rtt(answer: dict[str, Any], row: int, collector: Collector) -> float | None:
    rtt_ms = number(answer.get("rtt"))
    if rtt_ms is None or rtt_ms <= 0:
        collector.bad(row, "rtt", answer.get("rtt", ""), "is not a time above 0 ms", "the answer counts without a time")
        return None
    return rtt_ms


def _ping(result: dict[str, Any], target: str, row: int, collector: Collector) -> _Counts:
    sent = whole(result.get("ping_sent"))
    if sent is None or sent < 0:
        raise _UnusableError("ping_sent", result.get("ping_sent", ""), "is not a count of packets")
    answers: dict[object, float | None] = {}
    errors: dict[str, None] = {}
    listed = _objects(result.get("responses"), "responses", row, collector)
    for position, answer in enumerate(listed):
        fault = _fault(answer, target)
        if fault:
            errors[fault] = None
            continue
        seq = whole(answer.get("seq"))
        key = f"response {position}" if seq is None else seq
        if key not in answers:
            answers[key] = _usable_rtt(answer, row, collector)
    said = result.get("statistics")
    said = said if isinstance(said, dict) else {}
    error = "; ".join(errors) or _stop(result)
    replies = whole(said.get("replies"))
    if not listed and replies:
        return _summed(said, sent, replies, error, row, collector)
    if len(answers) > sent:
        raise _UnusableError("ping_sent", sent, f"is less than the {len(answers)} packets that were answered")
    if replies is not None and replies != len(answers) and not errors:
        message = f"the statistics say {replies} replies, {len(answers)} are listed"
        collector.bad(row, "replies", replies, message, "those listed are counted; look at the file")
    times = tuple(time for time in answers.values() if time is not None)
    return _Counts(sent, len(answers), times, error=error)


def _summed(
    said: dict[str, Any], sent: int, replies: int, error: str | None, row: int, collector: Collector
) -> _Counts:
    """A ping whose answers were left out of the file."""
    if not 0 <= replies <= sent:
        raise _UnusableError("replies", replies, f"is not a part of {sent} packets")
    times = {field: number(said.get(field)) for field in ("min", "avg", "max")}
    for field, time in times.items():
        if time is None or time <= 0:
            collector.bad(row, field, said.get(field, ""), "is not a time above 0 ms", "the counts are kept")
    least, mean, most = (time if time is not None and time > 0 else None for time in times.values())
    return _Counts(sent, replies, rtt_min_ms=least, rtt_avg_ms=mean, rtt_max_ms=most, error=error)


def _stop(result: dict[str, Any]) -> str | None:
    """Why a result ended, where that is a failure."""
    reason = words(result.get("stop_reason"))
    return None if reason.upper() in ("", "NONE", "COMPLETED", "DONE") else f"stopped: {reason}"


def _icmp(answer: dict[str, Any]) -> tuple[int, int] | None:
    """(type, code) where the answer is ICMP."""
    kind, code = whole(answer.get("icmp_type")), whole(answer.get("icmp_code"))
    return None if kind is None else (kind, code or 0)


def _sender(answer: dict[str, Any]) -> str:
    return plain_address(words(answer.get("from")) or words(answer.get("addr")))


def _version(answer: dict[str, Any], target: str) -> int:
    return family_of(_sender(answer)) or family_of(target) or 4


def _fault(answer: dict[str, Any], target: str) -> str:
    """Why this is no answer of the destination, "" where it is one."""
    sender, icmp = _sender(answer), _icmp(answer)
    if icmp is None:
        is_tcp = "tcp_flags" in answer or whole(answer.get("reply_proto")) == _IP_TCP
        return "" if is_tcp or not sender or same_address(sender, target) else f"answered by {sender}"
    version = _version(answer, target)
    if icmp[0] in _REPLIES[version] or icmp == _PORT_UNREACHABLE[version]:
        return ""
    return f"ICMP {icmp[0]}/{icmp[1]} from {sender or 'nobody'}"


def _arrived(answer: dict[str, Any], target: str) -> bool:
    """Whether a hop of a trace is the destination: it says so, or it bears its address."""
    if not _fault(answer, target):
        return True
    icmp = _icmp(answer)
    expired = icmp is not None and icmp[0] == _EXPIRED[_version(answer, target)]
    return not expired and same_address(_sender(answer), target)


def _trace(result: dict[str, Any], target: str, row: int, collector: Collector) -> _Counts:
    hops = _objects(result.get("hops"), "hops", row, collector)
    attempts = whole(result.get("attempts"))
    here = [hop for hop in hops if _arrived(hop, target)]
    if not here:
        return _Counts(
            min(max(1, attempts or 1), _MOST_ATTEMPTS), 0, error=_stop(result) or "the destination did not answer"
        )
    ttl = min((whole(hop.get("probe_ttl")) or 0) for hop in here)
    here = [hop for hop in here if (whole(hop.get("probe_ttl")) or 0) == ttl]
    answers: dict[object, float | None] = {}
    for position, hop in enumerate(here):
        probe = whole(hop.get("probe_id"))
        key = f"hop {position}" if probe is None else probe
        if key not in answers:
            answers[key] = _usable_rtt(hop, row, collector)
    numbers = [key for key in answers if isinstance(key, int) and key <= _MOST_ATTEMPTS]
    silent = [one for one in _objects(result.get("no_hops"), "no_hops", row, collector) if one.get("probe_ttl") == ttl]
    # Up to 2023 a packet without an answer is not listed, but packets of a hop are numbered from 1.
    sent = max(len(answers) + len(silent), max(numbers, default=0))
    times = tuple(time for time in answers.values() if time is not None)
    return _Counts(sent, len(answers), times)
