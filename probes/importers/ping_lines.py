"""The lines that ping programs write, each as a value: iputils, macOS and the BSDs, busybox, inetutils, Windows.

English output only: other languages are reported line by line, not guessed at.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from probes.importers.text import family_of, number
from probes.record import utc_ns

_UNIT_MS: Final = {
    "": 1.0,
    "ms": 1.0,
    "msec": 1.0,
    "us": 1e-3,
    "µs": 1e-3,
    "μs": 1e-3,
    "usec": 1e-3,
    "s": 1e3,
    "sec": 1e3,
}
_FIGURE: Final = r"\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?"


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a run. `first_seq` is what this program numbers its first packet, None where it does not."""

    target: str
    address: str
    source: str
    first_seq: int | None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `rtt_ms` is None where the line has no usable time, and `text` is then why, "" for a short packet.

    `time<1ms` is taken as 1 ms: the upper end of what it says.
    """

    seq: int | None
    rtt_ms: float | None
    duplicate: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """A line that says a packet was not answered, or by something else than the destination."""

    seq: int | None


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts of a statistics line; Windows counts messages that the host is unreachable as received."""

    sent: int
    received: int
    program_counts_errors: bool
    late: int = 0  # answers that macOS counts and does not show


@dataclass(frozen=True, slots=True)
class Spread:
    """The times of a statistics line, ms; `whole_ms` where the program cuts them to whole milliseconds."""

    min_ms: float | None
    avg_ms: float | None
    max_ms: float | None
    std_ms: float | None
    whole_ms: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """A message of the program itself: it could not send, or could not find the host."""

    text: str
    host: str


@dataclass(frozen=True, slots=True)
class ClockMoved:
    """The program saw the clock step during the run: its times are not to be trusted."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """A line that says nothing of its own."""


Line = Header | Reply | Lost | Totals | Spread | Trouble | ClockMoved | Nothing

_HEADERS: Final = (
    re.compile(r"PING6?\s*\((?P<sizes>\d+=\S+) bytes\)\s+(?P<source>\S+)\s+-->\s+(?P<address>\S+)"),
    re.compile(
        r"PING6?\s+(?P<target>[^\s()]*?)\s*:?\s*\((?:[^\s()]+\s*\()?(?P<address>[^\s()]+)\)?\)"
        r"(?:\s+from\s+(?P<source>\S+)(?:\s+\S+)?)?\s*(?P<bsd>:)?\s*\d+(?:\(\d+\))?\s+(?:data bytes|bytes of data)"
    ),
    re.compile(r"PING\s+(?P<target>[^\s():]+)\s*(?P<bsd>:)\s*\d+ data bytes"),
    re.compile(
        r"Pinging\s+(?P<target>\S+?)(?:\s+\[(?P<address>[^\]]+)\])?(?:\s+from\s+(?P<source>\S+))?"
        r"\s+with\s+\d+\s+bytes\s+of\s+data"
    ),
)
_REPLY: Final = re.compile(
    r"\d+ bytes from (?P<from>.+?)[:,]\s+(?:icmp_)?(?:seq|req)[= ](?P<seq>\d+)\b\.?(?P<rest>.*)", re.IGNORECASE
)
_WINDOWS_REPLY: Final = re.compile(r"Reply from \S+:\s+(?:bytes=\d+\s+)?(?P<rest>time[=<].*)", re.IGNORECASE)
_REST: Final = re.compile(
    r"[\s,]*(?:(?:id|ident)=\d+\s*)?(?:(?:ttl|hlim)[= ]\d+)?[\s,]*"
    rf"(?:time\s?(?P<sign>[=<])\s?(?P<time>{_FIGURE})\s?(?P<unit>[a-zµμ]*))?"
    r"[\s,]*(?:ttl=\d+)?\s*(?P<marks>(?:\((?:DUP!|DIFFERENT ADDRESS!|truncated)\)\s*)*)",
    re.IGNORECASE,
)
_LOST: Final = (
    re.compile(r"no answer yet for icmp_seq=(?P<seq>\d+)"),
    re.compile(r"Request timeout for icmp_seq[ =](?P<seq>\d+)"),
    re.compile(r"From \S+(?: \(\S+\))?:? icmp_seq=(?P<seq>\d+) (?!Redirect)\S.*"),
    re.compile(r"Request timed out\.?|PING: transmit failed.*|General failure\.?|Hardware error\.?"),
    re.compile(r"Destination (?:host|net) unreachable\.?"),
    re.compile(r"Reply from \S+: (?:Destination|TTL expired|Packet needs|Bad |Source|Communication)[^=<]*"),
)
_TOTALS: Final = re.compile(
    r"(?P<sent>\d+) packets? transmitted, (?P<received>\d+)(?: packets?)?(?: received)?"
    r"(?=,|$)(?:, [^,]*(?:duplicate|error|corrupted|loss|time|garbled|somebody)[^,]*)*,?"
)
_LATE: Final = re.compile(r"(\d+) packets? out of wait time")
_WINDOWS_TOTALS: Final = re.compile(r"Packets: Sent = (?P<sent>\d+), Received = (?P<received>\d+), Lost = \d+.*")
_ITEM: Final = rf"({_FIGURE}|-?nan|-)"
_SPREAD: Final = re.compile(
    rf"(?:rtt|round-trip)\s*(?:\(ms\))?\s+min/avg/max(?:/(?:mdev|stddev|std-dev|stdev))?\s*=\s*"
    rf"{_ITEM}/{_ITEM}/{_ITEM}(?:/{_ITEM})?\s*(?P<unit>ms)?\b.*",
    re.IGNORECASE,
)
_WINDOWS_SPREAD: Final = re.compile(r"Minimum = (\d+)ms, Maximum = (\d+)ms, Average = (\d+)ms")
_CLOCK: Final = re.compile(
    r"Warning: (?:time of day goes back|invalid timestamp).*|ping: Warning: time of day.*", re.IGNORECASE
)
_TROUBLE: Final = (
    re.compile(r"ping6?: (?:cannot resolve|unknown host|bad address) '?(?P<host>[^\s:']+).*"),
    re.compile(
        r"ping6?: (?P<host>[^\s:']+): (?:Name |Temporary failure|No address|Unknown host|nodename|System error"
        r"|Non-recoverable|Address family).*"
    ),
    re.compile(r"Ping request could not find host (?P<host>\S+?)\.(?: .*)?"),
    re.compile(r"(?:ping6?: |connect: |sendto?: )(?P<host>).*"),
)
_NOTHING: Final = re.compile(
    r"\s*|PATTERN: 0x.*|WARNING: .*|\^C|-{2,3}\s?.* (?:ping6? statistics|PING Statistics|hping statistic)\s?-{2,4}"
    r"|Ping statistics for .*|Approximate round trip times in milli-seconds:|Control-(?:C|Break)"
    r"|From .* icmp_seq=\d+ Redirect.*"
    r"|\d+ bytes from [^:]+: (?:Destination|Time to live|Redirect|Source Quench|Communication).*"
    r"|Vr HL TOS .*|\s+\d\s+\d\s+[0-9a-f]{2} .*|\s*\d+/\d+ packets, .*"
    r"|ping: sock4\.fd.*|ai->ai_family.*|ping: Warning: .*"
    r"|wrong data byte .*|pipe \d+|#\d+\s.*|Terminated|[.\x08 ]+",
    re.IGNORECASE,
)
_CORRUPT: Final = re.compile(r"BAD CHECKSUM", re.IGNORECASE)


def parse(line: str) -> Line | None:
    """What a line says, once its time stamp is cut off; None for a line that no program here is known to write."""
    text = line.replace("\a", "").strip().removeprefix("^C").strip()
    header = _header(text)
    if header is not None:
        return header
    reply = _reply(text)
    if reply is not None:
        return reply
    for pattern in _LOST:
        if match := pattern.fullmatch(text):
            seq = match.groupdict().get("seq")
            return Lost(None if seq is None else int(seq))
    if _CLOCK.fullmatch(text):
        return ClockMoved()
    if _NOTHING.fullmatch(line) or _NOTHING.fullmatch(text):
        return Nothing()
    return _statistics(text) or _trouble(text)


def _header(text: str) -> Header | None:
    for pattern in _HEADERS:
        if match := pattern.match(text):
            parts = match.groupdict()
            target, address = parts.get("target") or "", parts.get("address") or ""
            if not address and family_of(target):
                address = target
            numbered_from_0 = bool(parts.get("bsd") or parts.get("sizes"))
            first_seq = None if text.startswith("Pinging") else 0 if numbered_from_0 else 1
            return Header(target or address, address, (parts.get("source") or "").rstrip(":"), first_seq)
    return None


def _reply(text: str) -> Reply | None:
    match = _REPLY.fullmatch(text) or _WINDOWS_REPLY.fullmatch(text)
    if match is None or _CORRUPT.search(text):
        return None
    rest = _REST.fullmatch(match["rest"])
    if rest is None:
        return None
    seq = match.groupdict().get("seq")
    duplicate = "dup" in rest["marks"].lower()
    if rest["time"] is None:
        return Reply(None if seq is None else int(seq), None, duplicate)
    time = number(rest["time"].replace(",", "."))
    scale = _UNIT_MS.get(rest["unit"].lower())
    if time is None or scale is None:
        return None
    usable = time > 0
    return Reply(
        None if seq is None else int(seq),
        time * scale if usable else None,
        duplicate,
        "" if usable else f"time{rest['sign']}{rest['time']}",
    )


def _statistics(text: str) -> Line | None:
    if match := _TOTALS.fullmatch(text):
        late = _LATE.search(text)
        return Totals(int(match["sent"]), int(match["received"]), False, int(late[1]) if late else 0)
    if match := _WINDOWS_TOTALS.fullmatch(text):
        return Totals(int(match["sent"]), int(match["received"]), True)
    if match := _WINDOWS_SPREAD.fullmatch(text):
        low, high, mean = (number(one) or None for one in match.groups())
        return Spread(low, mean, high, None, whole_ms=True)
    if match := _SPREAD.fullmatch(text):
        low, mean, high, spread = (None if one is None else number(one.replace(",", ".")) for one in match.groups()[:4])
        whole_ms = not any(mark in match.group(1) for mark in ".,")
        return Spread(low or None, mean or None, high or None, spread, whole_ms)
    return None


def _trouble(text: str) -> Trouble | None:
    for pattern in _TROUBLE:
        if match := pattern.fullmatch(text):
            return Trouble(text, match["host"])
    return None


_EPOCH: Final = re.compile(r"\[(\d{9,10})\.(\d{1,9})\](?:\s|$)")
_ISO: Final = re.compile(
    r"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?)\d*\s?(Z|[+-]\d\d:?\d\d)?\]?:?(?:\s|$)"
)
_CLOCK_TIME: Final = re.compile(r"\[?\d\d:\d\d:\d\d(?:\.\d+)?\]?\s(?=\S)")


def split_time(line: str) -> tuple[int | None, str]:
    """(nanoseconds since 1970 UTC, the line without its stamp): of `ping -D`, or of a tool that stamps lines.

    A stamp without a time zone, or without a date, is cut off and gives no time: which hour it was is not known.
    """
    if match := _EPOCH.match(line):
        return int(match[1]) * 1_000_000_000 + int(match[2].ljust(9, "0")), line[match.end() :]
    if match := _ISO.match(line):
        rest = line[match.end() :]
        if match[2] is None:
            return None, rest
        try:
            zone = "+00:00" if match[2] == "Z" else match[2]
            moment = datetime.fromisoformat(match[1].replace(",", ".").replace(" ", "T") + zone)
        except ValueError:
            return None, rest
        return utc_ns(moment.astimezone(UTC)), rest
    if match := _CLOCK_TIME.match(line):
        return None, line[match.end() :]
    return None, line
