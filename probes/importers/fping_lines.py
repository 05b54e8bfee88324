"""The lines that fping writes, each as a value: versions 2.4 to 5.5, text and JSON (-J), either stream.

fping writes answers to stdout and statistics to stderr, so a file may hold one of them, or both in any order; what a
foreign answer came from (` [<- address]`) goes to stderr and may stand in front of any other line.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from probes.importers.ping_lines import split_time
from probes.importers.text import number, whole, words

_TIME: Final = r"-?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?"


@dataclass(frozen=True, slots=True)
class Probe:
    """One packet of `host`: answered, or not where `answered` is False.

    `rtt_ms` is None where there is no usable time, and `text` is then what stands in its place. `first` is whether
    this is the first packet with its fate in a run: fping prints a running mean, and says NaN until the first answer.
    """

    host: str
    index: int
    answered: bool
    rtt_ms: float | None
    first: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """The statistics of a run, or of an interval of it: min, mean and max in ms, or (-C) each packet's own time.

    `rtt_ms` has the times above 0 of a -C line and `odd` those that are none. `interval` and `time` (nanoseconds since
    1970 UTC) are known of JSON only: in text, the clock time above a block of lines makes it one of intervals.
    """

    host: str
    sent: int
    received: int
    min_ms: float | None = None
    avg_ms: float | None = None
    max_ms: float | None = None
    rtt_ms: tuple[float, ...] = ()
    odd: tuple[str, ...] = ()
    interval: bool = False
    time: int | None = None


@dataclass(frozen=True, slots=True)
class Alive:
    """`is alive` or `is unreachable`: how many packets it took is not said."""

    host: str
    alive: bool
    rtt_ms: float | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a host could not be reached or its packet not sent; `unknown` where it has no address at all."""

    host: str
    text: str
    unknown: bool


@dataclass(frozen=True, slots=True)
class Interval:
    """The clock time over the statistics of one interval (-Q)."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """A line that says nothing of its own."""


Line = Probe | Totals | Alive | Trouble | Interval | Nothing

_MOST_PACKETS: Final = 10**12
_FOREIGN: Final = re.compile(r"\s*\[<- [^\]]*\]")
_STAMP: Final = re.compile(r"\[[^\]<]*\d\d:\d\d:\d\d[^\]]*\]\s+(?=\S)")
_INTERVAL: Final = re.compile(r"\[\d\d:\d\d:\d\d\]")
_HOST: Final = re.compile(r"(?P<host>\S(?:.*?\S)?)\s+:\s?(?P<rest>.*)")
_PROBE: Final = re.compile(
    rf"\[(?P<index>\d{{1,12}})\], (?:(?P<lost>timed out)|\d+ bytes, (?P<time>{_TIME}) ms)"
    rf" \((?P<avg>{_TIME}|-?nan) avg, (?:-?\d+% (?:loss|return)|-?nan% loss)\).*",
    re.IGNORECASE,
)
_TOTALS: Final = re.compile(
    r"xmt/rcv/%(?:loss|return) = (?P<sent>\d+)/(?P<received>\d+)/-?\d+%(?:, outage\(ms\) = -?\d+)?"
    rf"(?:, min/avg/max = (?P<min>{_TIME})/(?P<avg>{_TIME})/(?P<max>{_TIME}))?"
)
_ITEM: Final = re.compile(rf"{_TIME}|-")
_DUPLICATE: Final = re.compile(r"duplicate for \[\d+\], .*")
_NAME: Final = r"\S+(?: \([0-9a-fA-F.:%]+\))?"
_ALIVE: Final = re.compile(
    rf"(?P<host>{_NAME})(?: is (?P<state>alive|unreachable))?(?: \((?:TOS|TTL) \w+\)|,? timestamps:(?: \w+=\d+)*)*"
    rf"(?: \((?P<time>{_TIME}) ms\))?(?: \((?:TOS|TTL) \w+\))*"
)
_ICMP: Final = re.compile(rf"(?P<text>\S.*? from \S+) for ICMP.*? sent to (?P<host>{_NAME})")
_UNKNOWN: Final = (
    re.compile(r"(?P<host>\S+) address not found"),
    re.compile(
        r"(?P<host>\S+): (?:Name or |Name does|No address|Temporary failure|Non-recoverable|nodename|Unknown host"
        r"|hostname nor|Address family|System error|can't forward-lookup|No such host).*"
    ),
)
_SENDING: Final = re.compile(r"(?P<host>\S.*?)\s*:? error while sending ping: (?P<text>.*)")
_NOTHING: Final = re.compile(
    r"\s*|\d+ (?:targets|alive|unreachable|unknown addresses|timeouts \(.*|ICMP Echos sent|ICMP Echo Replies received"
    r"|other ICMP received)|-?[\d.]+(?:e\+?\d+)? (?:ms \((?:min|avg|max) round trip time\)|sec \(elapsed real time\))"
    r"|(?:Not enough|Enough) hosts reachable .*|\^C|Terminated|\[DEBUG\].*|# .*"
)


def parse(text: str) -> tuple[int | None, Line | None]:
    """(nanoseconds since 1970 UTC of its stamp, what a line of text says); None for a line that fping never writes."""
    line = _FOREIGN.sub("", text.replace("\a", "")).strip().removeprefix("^C").strip()
    if _INTERVAL.fullmatch(line):
        return None, Interval()
    time, rest = split_time(line)
    if rest == line:
        rest = _STAMP.sub("", line, count=1)
    rest = rest.strip()
    return time, _statement(rest)


def _statement(line: str) -> Line | None:
    if _NOTHING.fullmatch(line):
        return Nothing()
    if match := _ICMP.fullmatch(line):
        return Trouble(match["host"], match["text"], unknown=False)
    for pattern in _UNKNOWN:
        if match := pattern.fullmatch(line):
            return Trouble(match["host"], line, unknown=True)
    if match := _SENDING.fullmatch(line):
        return Trouble(match["host"], match["text"].strip() or "could not send", unknown=False)
    if match := _HOST.fullmatch(line):
        return _of_host(match["host"], match["rest"].strip())
    return _alive(line)


def _of_host(host: str, rest: str) -> Line | None:
    if match := _PROBE.fullmatch(rest):
        return _probe(host, int(match["index"]), match["time"], match["avg"])
    if match := _TOTALS.fullmatch(rest):
        least, mean, most = (_milliseconds(match[name]) for name in ("min", "avg", "max"))
        return Totals(host, int(match["sent"]), int(match["received"]), least, mean, most)
    if _DUPLICATE.fullmatch(rest):
        return Nothing()
    items = rest.split()
    if items and all(_ITEM.fullmatch(one) for one in items):
        return _listed(host, [None if one == "-" else one for one in items])
    return None


def _probe(host: str, index: int, time: str | None, avg: str) -> Probe:
    if time is None:
        return Probe(host, index, False, None, first=_milliseconds(avg) is None)
    rtt_ms = _milliseconds(time)
    return Probe(host, index, True, rtt_ms, first=time == avg, text="" if rtt_ms is not None else time)


def _listed(host: str, items: Sequence[Any]) -> Totals:
    """Each packet's time as fping lists it; None is a lost packet."""
    answered = [one for one in items if one is not None]
    times = tuple(t for one in answered if (t := _milliseconds(one)) is not None)
    odd = tuple(words(one) or repr(one) for one in answered if _milliseconds(one) is None)
    least, most = (min(times), max(times)) if times else (None, None)
    return Totals(host, len(items), len(answered), least, None, most, times, odd)


def _alive(line: str) -> Line | None:
    """`-a` and `-u` print bare names, which say neither: only a line with a state or a time is taken."""
    match = _ALIVE.fullmatch(line)
    if match is None or (match["state"] is None and match["time"] is None):
        return None
    rtt_ms = _milliseconds(match["time"])
    text = match["time"] if match["time"] is not None and rtt_ms is None else ""
    return Alive(match["host"].strip(), match["state"] != "unreachable", rtt_ms, text)


def _milliseconds(value: object) -> float | None:
    """A time above 0; None for anything else."""
    figure = number(value.replace(",", ".") if isinstance(value, str) else value)
    return figure if figure is not None and figure > 0 else None


def parse_json(value: Any) -> tuple[int | None, Line | None]:
    """The same of one object of -J: `{"resp": {...}}` and its kin, whose schema is still called alpha by fping."""
    kind, fields = next(iter(value.items())) if isinstance(value, Mapping) and len(value) == 1 else ("", None)
    if not isinstance(fields, Mapping):
        return None, None
    if kind in ("stats", "globalSum"):
        return None, Nothing()
    host = words(fields.get("host"))
    read = _OF_JSON.get(kind)
    stamp = words(fields.get("timestamp")) or number(fields.get("timestamp"))
    time = split_time(f"[{stamp}]")[0] if stamp else None
    return time, read(host, fields) if host and read is not None else None


def _json_answer(host: str, fields: Mapping[str, Any]) -> Probe | None:
    index, rtt = whole(fields.get("seq")), fields.get("rtt")
    if index is None or not 0 <= index < _MOST_PACKETS:
        return None
    rtt_ms = _milliseconds(rtt)
    # Since 5.5 there is no running mean: the first answer of a run is then known by its number alone.
    first = fields["rttAvg"] == rtt if "rttAvg" in fields else index == 0
    return Probe(host, index, True, rtt_ms, first, "" if rtt_ms is not None else json.dumps(rtt))


def _json_timeout(host: str, fields: Mapping[str, Any]) -> Probe | None:
    index = whole(fields.get("seq"))
    if index is None or not 0 <= index < _MOST_PACKETS:
        return None
    return Probe(host, index, False, None, first=number(fields["rttAvg"]) is None if "rttAvg" in fields else index == 0)


def _json_list(host: str, fields: Mapping[str, Any]) -> Totals | None:
    values = fields.get("values")
    return _listed(host, values) if isinstance(values, list) else None


def _json_totals(host: str, fields: Mapping[str, Any]) -> Totals | None:
    sent, received = whole(fields.get("xmt")), whole(fields.get("rcv"))
    if sent is None or received is None or sent < 0 or received < 0:
        return None
    least, mean, most = (_milliseconds(fields.get(name)) for name in ("rttMin", "rttAvg", "rttMax"))
    seconds = number(fields.get("time"))
    time = round(seconds * 1000) * 1_000_000 if seconds is not None and 0 < seconds < 1e10 else None
    return Totals(host, sent, received, least, mean, most, time=time)


def _json_interval(host: str, fields: Mapping[str, Any]) -> Totals | None:
    sums = _json_totals(host, fields)
    return None if sums is None else replace(sums, interval=True)


_OF_JSON: Final[Mapping[str, Callable[[str, Mapping[str, Any]], Line | None]]] = {
    "resp": _json_answer,
    "timeout": _json_timeout,
    "summary": _json_totals,
    "intSum": _json_interval,
    "vSum": _json_list,
}
