"""RIPE Atlas results of ping and traceroute, as the API gives them: an array, JSON lines or one result.

Every generation of the format is read (atlas.ripe.net/docs/apis/measurement-result-format): figures as text (firmware
0), summaries without samples (1), `addr` and `name` for the destination (to 4540), `dst_addr` and `dst_name` since.
A record's source is the probe's number and its target the address; the probe's address and the name are the aliases.
Times are milliseconds, `timestamp` is seconds since 1970 UTC. A traceroute counts what the destination itself answered
at the last hop where it did; without that, the packets of the last hop are lost.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from probes.importers.collector import Collector
from probes.importers.json_values import Broken, values
from probes.importers.options import Options, overridden
from probes.importers.text import family_of, number, same_address, text_of, whole, words
from probes.record import Record

METHOD: Final = "imported:ripe-atlas"
# A method of its own: many hosts answer no traceroute, and that is no loss of the pings beside it.
METHOD_TRACEROUTE: Final = "imported:ripe-atlas-traceroute"
_UNANSWERED_ERRORS: Final = ("", "p", "P")  # port and protocol unreachable are how a destination ends a trace
_STREAM_WORD: Final = "atlas_result"  # what the streaming interface writes before each result
_MEND: Final = "leave the result out, or fetch it again"


@dataclass(frozen=True, slots=True)
class _Counts:
    """What a result says of its packets; a summary only where there are no single packets."""

    sent: int | None
    received: int | None
    rtt_ms: tuple[float, ...] = ()
    rtt_min_ms: float | None = None
    rtt_avg_ms: float | None = None
    rtt_max_ms: float | None = None
    error: str | None = None


class _UnusableError(ValueError):
    """A result that cannot become a record: its field, its value, and why."""

    def __init__(self, field: str, value: object, message: str) -> None:
        super().__init__(message)
        self.field, self.value = field, value


def read(stream: BinaryIO, collector: Collector, options: Options) -> None:
    """Reads results one after another; memory holds the records and one result."""
    text = text_of(stream)
    found = False
    for row, value in values(text, _is_result):
        found = True
        for result in _unwrapped(value):
            _read_one(result, row, collector, options)
    text.detach()
    stream.seek(0)
    if not found and not stream.read(1):
        collector.bad(0, "file", "", "is empty", "fetch the results again; no results is []")


def _is_result(value: Any) -> bool:
    return isinstance(value, dict) and ("prb_id" in value or "results" in value)


def _unwrapped(value: Any) -> list[Any]:
    """The results in a value: a page of the API, a message of the stream, an array on one line, or itself."""
    if isinstance(value, dict) and "prb_id" not in value and isinstance(value.get("results"), list):
        return list(value["results"])
    return [one for one in (value if isinstance(value, list) else [value]) if one != _STREAM_WORD]


def _read_one(result: Any, row: int, collector: Collector, options: Options) -> None:
    collector.read += 1
    if isinstance(result, Broken):
        collector.bad(row, "result", result.text, f"is not JSON: {result.message}", _MEND)
        return
    if not isinstance(result, dict):
        collector.bad(row, "result", result, "is not a result of RIPE Atlas", _MEND)
        return
    try:
        record = _record(result, row, collector)
    except _UnusableError as error:
        collector.bad(row, error.field, error.value, str(error), _MEND)
    else:
        collector.add(row, overridden(record, options))


def _record(result: dict[str, Any], row: int, collector: Collector) -> Record:
    probe = whole(result.get("prb_id"))
    if probe is None or probe < 0:
        raise _UnusableError("prb_id", result.get("prb_id", ""), "is not the number of a probe")
    seconds = number(result.get("timestamp"))
    if seconds is None or not 0 < seconds < 1e10:
        raise _UnusableError("timestamp", result.get("timestamp", ""), "is not seconds since 1970")
    address = words(result.get("dst_addr")) or words(result.get("addr"))
    name = words(result.get("dst_name")) or words(result.get("name"))
    kind = _kind(result)
    if kind == "ping":
        counts = _ping(result, row, collector)
    elif isinstance(result.get("result"), str):
        address, counts = _text_traceroute(result["result"], address)
    else:
        counts = _traceroute(result, address, row, collector)
    if not (address or name):
        raise _UnusableError("dst_addr", "", "neither an address nor a name of the destination")
    family = whole(result.get("af"))
    return Record(
        observed_at=round(seconds * 1000) * 1_000_000,
        agent=f"ripe-atlas:{probe}",
        source=str(probe),
        source_alias=words(result.get("from")) or words(result.get("src_addr")) or None,
        target=address or name,
        target_alias=name if address and name and not same_address(name, address) and name != address else None,
        method=METHOD if kind == "ping" else METHOD_TRACEROUTE,
        family=family if family in (4, 6) else family_of(address),
        sent=counts.sent,
        received=counts.received,
        rtt_ms=counts.rtt_ms or None,
        rtt_min_ms=counts.rtt_min_ms,
        rtt_avg_ms=counts.rtt_avg_ms,
        rtt_max_ms=counts.rtt_max_ms,
        error=counts.error,
    )


def _kind(result: dict[str, Any]) -> str:
    said = words(result.get("type")).lower()
    if said in ("ping", "traceroute"):
        return said
    if said:
        raise _UnusableError("type", said, "neither ping nor traceroute: holds no round trip that is read")
    hops = result.get("result")
    if isinstance(hops, str) or (isinstance(hops, list) and any(isinstance(h, dict) and "hop" in h for h in hops)):
        return "traceroute"
    if "sent" in result or "rcvd" in result or "avg" in result:
        return "ping"
    raise _UnusableError("type", "", "is missing, and the result looks like neither ping nor traceroute")


def _usable_rtt(packet: dict[str, Any], row: int, collector: Collector) -> float | None:
    """The packet's time; reports one that is no time: the answer counts as received, without a sample."""
    rtt_ms = number(packet["rtt"])
    if rtt_ms is None or rtt_ms <= 0:
        collector.bad(row, "rtt", packet["rtt"], "is not a time above 0 ms", "the answer is counted without a time")
        return None
    return rtt_ms


def _packets(listed: Sequence[Any]) -> list[dict[str, Any]]:
    """What was sent, one entry a packet: duplicates and late answers are further answers to one already listed."""
    return [p for p in listed if isinstance(p, dict) and "dup" not in p and "late" not in p]


def _ping(result: dict[str, Any], row: int, collector: Collector) -> _Counts:
    sent, received = whole(result.get("sent")), whole(result.get("rcvd"))
    for field, count in (("sent", sent), ("rcvd", received)):
        if count is None and result.get(field) is not None:
            raise _UnusableError(field, result[field], "is not a count")
    listed = result.get("result")
    if listed is None or (listed == [] and received):  # built-in measurements have had an empty list
        return _summary(result, sent, received, row, collector)
    if not isinstance(listed, list):
        raise _UnusableError("result", listed, "is not a list of packets")
    for odd in (p for p in listed if not isinstance(p, dict)):
        collector.bad(row, "result", odd, "is not a packet", _MEND)
    packets = _packets(listed)
    answers = [p for p in packets if "rtt" in p]
    timeouts = [p for p in packets if "rtt" not in p and "x" in p]
    errors = [words(p.get("error")) or "error" for p in packets if "error" in p]
    for odd in (p for p in packets if not ({"rtt", "x", "error"} & p.keys())):
        collector.bad(row, "result", odd, "has neither rtt, x nor error", _MEND)
    if sent is not None and sent < len(answers):
        raise _UnusableError("sent", sent, f"is less than the {len(answers)} packets that were answered")
    times = [_usable_rtt(p, row, collector) for p in answers]
    return _Counts(
        sent=max(sent or 0, len(answers) + len(timeouts)),
        received=len(answers),
        rtt_ms=tuple(t for t in times if t is not None),
        error="; ".join(dict.fromkeys(errors)) or None,
    )


def _summary(result: dict[str, Any], sent: int | None, received: int | None, row: int, collector: Collector) -> _Counts:
    """A result without single packets; -1 is how the probe writes that there is no time."""
    if sent is None or received is None:
        raise _UnusableError("rcvd", result.get("rcvd", ""), "neither packets nor the counts of sent and received")
    times: dict[str, float] = {}
    for field in ("min", "avg", "max"):
        rtt_ms = number(result.get(field))
        if rtt_ms is not None and rtt_ms > 0:
            times[field] = rtt_ms
        elif received > 0:
            collector.bad(row, field, result.get(field, ""), "is not a time above 0 ms", "the counts are kept")
    if received == 0:
        times = {}
    return _Counts(
        sent, received, rtt_min_ms=times.get("min"), rtt_avg_ms=times.get("avg"), rtt_max_ms=times.get("max")
    )


def _traceroute(result: dict[str, Any], address: str, row: int, collector: Collector) -> _Counts:
    hops = result.get("result")
    if not isinstance(hops, list):
        raise _UnusableError("result", hops if hops is not None else "", "is not a list of hops")
    lists = [h["result"] for h in hops if isinstance(h, dict) and isinstance(h.get("result"), list)]
    errors = [words(h["error"]) or "error" for h in hops if isinstance(h, dict) and "error" in h]
    for odd in (h for h in hops if not isinstance(h, dict) or not ({"result", "error"} & h.keys())):
        collector.bad(row, "result", odd, "is not a hop", _MEND)
    for packets in reversed([_packets(one) for one in lists]):
        answers = [p for p in packets if _answered(p, address)]
        if answers:
            times = [_usable_rtt(p, row, collector) for p in answers]
            return _Counts(len(packets), len(answers), tuple(t for t in times if t is not None))
    error = "; ".join(dict.fromkeys(errors)) or None
    if not lists and error is None:
        raise _UnusableError("result", "", "holds no hop")
    return _Counts(len(_packets(lists[-1])) if lists else 0, 0, error=error)


def _answered(packet: dict[str, Any], address: str) -> bool:
    return (
        "rtt" in packet
        and words(packet.get("err")) in _UNANSWERED_ERRORS
        and same_address(words(packet.get("from")), address)
    )


_HEADER: Final = re.compile(r"traceroute6? to (\S+) \(([^)\s]+)\)")
_HOP: Final = re.compile(r"^\s*\d+\s+(.*)$", re.MULTILINE)
_TOKEN: Final = re.compile(r"([\d.]+) ms|(\*)|([0-9a-fA-F:.]{3,})")


def _text_traceroute(text: str, address: str) -> tuple[str, _Counts]:
    """Firmware 1 sent the output of the command: the last line counts, for answers of the destination."""
    header = _HEADER.search(text)
    hops = _HOP.findall(text)
    address = address or (header.group(2) if header else "")
    if not hops or not address:
        raise _UnusableError("result", text, "is not the output of traceroute")
    times: list[float] = []
    sent, at = 0, ""
    for time, star, name in _TOKEN.findall(hops[-1]):
        at = name or at
        sent += bool(time or star)
        if time and same_address(at, address) and (rtt_ms := number(time)) is not None and rtt_ms > 0:
            times.append(rtt_ms)
    return address, _Counts(sent, len(times), tuple(times))
