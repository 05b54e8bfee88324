"""The JSON of iperf3 (-J, --json-stream), one record a direction: 3.0 and later, client or server, TCP, UDP, SCTP.

The source is always the client, so `up` is client to server, also in a server's file and under -R; --bidir gives two
records. `mbps` is what the receiver got: a sender's figure is up to a fifth too much on short tests and never used.
Where a run has no sum of the receiver (interrupted, or a server that was not told), the receiver's own intervals are
summed; a file of the sender then has no rate, and the record says so. Rates in the file are bit/s, `*_rtt` are
microseconds of the sender's TCP, under the load of the test itself: such records are `loaded`.
"""

import io
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from probes.importers.collector import Collector
from probes.importers.json_values import Broken, values
from probes.importers.options import Options, overridden
from probes.importers.text import family_of, number, plain_address, text_of, whole, words
from probes.record import Record

METHOD: Final = "imported:iperf3"
_Rate = tuple[float, int | None]  # Mbit/s, bytes
_MEND: Final = "leave the run out, or measure again"
# cJSON of old versions prints C's nan and inf, which no JSON reader takes.
_NOT_NUMBERS: Final = re.compile(r"(?<=:)(\s*)-?(?:nan|inf)(?:\(\w*\))?(?=\s*[,}\]])")
_SAYS: Final = re.compile(r"^\s*(?:iperf3: |warning: ).*$", re.MULTILINE)
_EVENTS: Final = ("start", "interval", "end", "error", "server_output_text", "server_output_json")


def read(stream: BinaryIO, collector: Collector, options: Options) -> None:
    """Reads the runs of a file, whole in memory: one document, several appended to one log, an array, or events."""
    text = text_of(stream)
    content = text.read()
    text.detach()
    for line in _SAYS.findall(content):
        collector.note(f"passed over a message beside the JSON: {line.strip()[:80]}")
    content = _NOT_NUMBERS.sub(r"\1null", _SAYS.sub("", content))
    found = False
    for row, value in _runs(values(io.StringIO(content), _is_run)):
        found = True
        collector.read += 1
        if isinstance(value, Broken):
            collector.bad(row, "run", value.text, f"is not JSON: {value.message}", _MEND)
        elif not _is_run(value):
            collector.bad(row, "run", value, "is not a run of iperf3 -J", _MEND)
        else:
            _read_run(value, row, collector, options)
    if not found:
        collector.bad(0, "file", "", "holds no run", "give the output of iperf3 -J")


def _is_run(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(value.get(key), dict) for key in ("start", "end"))


def _runs(found: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    """Documents, with the events of --json-stream gathered into the document they make."""
    run: dict[str, Any] | None = None
    first = 0
    for row, value in found:
        if not (isinstance(value, dict) and value.get("event") in _EVENTS):
            for one in value if isinstance(value, list) else [value]:
                yield row, one
            continue
        event, data = value["event"], value.get("data")
        if event == "start" or run is None:
            if run is not None:
                yield first, run
            run, first = {"intervals": []}, row
        if event == "interval":
            run["intervals"].append(data)
        else:
            run[event] = data
    if run is not None:
        yield first, run


def _part(value: Any, *keys: str) -> dict[str, Any]:
    """The object at these keys, {} where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _items(value: Any, key: str) -> list[dict[str, Any]]:
    listed = value.get(key) if isinstance(value, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _read_run(run: dict[str, Any], row: int, collector: Collector, options: Options) -> None:
    start, test = _part(run, "start"), _part(run, "start", "test_start")
    ends = _ends(start)
    error = words(run.get("error")) or None
    time = _time(start, options, collector)
    if time is None:
        collector.bad(row, "timestamp", _part(start, "timestamp"), "is not seconds since 1970", "give the time")
        return
    common = {"observed_at": time, "method": METHOD, **ends}
    if not start.get("connected") and not run.get("end"):
        collector.add(row, overridden(Record(**common, error=error or "the run never began"), options))
        return
    is_server = bool(_part(start, "accepted_connection"))
    reverse = bool(whole(test.get("reverse")))
    both = bool(whole(test.get("bidir"))) or any(key.endswith("_bidir_reverse") for key in _part(run, "end"))
    udp = words(test.get("protocol")).upper() == "UDP"
    for suffix, down in (("", False), ("_bidir_reverse", True)) if both else (("", reverse),):
        measured = _direction(run, suffix, down, is_server, udp, row, collector)
        said = error or measured.pop("error", None)
        measured |= {"error": said, "direction": "down" if down else "up", "loaded": True}
        collector.add(row, overridden(Record(**common, **measured), options))


def _ends(start: dict[str, Any]) -> dict[str, Any]:
    """Client and server, whichever of the two wrote the file."""
    connected = next(iter(_items(start, "connected")), {})
    local, remote = words(connected.get("local_host")), words(connected.get("remote_host"))
    asked = words(_part(start, "connecting_to").get("host"))
    accepted = words(_part(start, "accepted_connection").get("host"))
    client, server = (remote or accepted, local) if accepted and not asked else (local, remote or asked)
    client, server = plain_address(client), plain_address(server)
    return {
        "source": client,
        "target": server,
        "target_alias": asked if asked and asked != server else None,
        "family": family_of(server) or family_of(client),
    }


def _time(start: dict[str, Any], options: Options, collector: Collector) -> int | None:
    if options.observed_at is not None:
        return options.observed_at
    stamp = _part(start, "timestamp")
    milliseconds, seconds = number(stamp.get("timemillisecs")), number(stamp.get("timesecs"))
    if milliseconds is not None and 0 < milliseconds < 1e13:
        return round(milliseconds) * 1_000_000
    if seconds is not None and 0 < seconds < 1e10:
        return round(seconds * 1000) * 1_000_000
    if stamp:
        return None
    collector.note("a run without a time stamp has the time at which the file was last written")
    return options.file_time


def _direction(
    run: dict[str, Any], suffix: str, down: bool, is_server: bool, udp: bool, row: int, collector: Collector
) -> dict[str, Any]:
    """What one direction of a run measured, as fields of a Record."""
    end = _part(run, "end")
    local_receives = is_server != down
    received = _figures(_received_sum(end, suffix), "sum_received", row, collector)
    counts: dict[str, Any] = {}
    times = {} if local_receives else _times(end)  # a receiver's TCP sends hardly anything to time
    if udp:
        sums = _part(end, f"sum{suffix}")
        counts = _packets(sums if sums.get("packets") else _part(end, f"sum_received{suffix}"), row, collector)
        if received is None and counts.get("sent"):
            received = _delivered(_figures(sums, "sum", row, collector), counts)
    if received is None and local_receives:
        received = _intervals(run, suffix)
    if received is None:
        return {**counts, **times, "error": "the run has no figure of the receiver"}
    mbps, size = received
    return {**counts, **times, "mbps": mbps, "bytes": size}


def _received_sum(end: dict[str, Any], suffix: str) -> dict[str, Any]:
    """The receiver's sum; the sum over its streams where the file has none."""
    sums = _part(end, f"sum_received{suffix}")
    if sums or suffix:
        return sums
    streams = [_part(stream, "receiver") for stream in _items(end, "streams")]
    if not streams or not all(streams):
        return {}
    rates = [number(one.get("bits_per_second")) for one in streams]
    sizes = [number(one.get("bytes")) for one in streams]
    if None in rates or None in sizes:
        return {}
    return {"bits_per_second": sum(r or 0.0 for r in rates), "bytes": sum(s or 0.0 for s in sizes)}


def _figures(sums: dict[str, Any], field: str, row: int, collector: Collector) -> _Rate | None:
    """(Mbit/s, bytes) of a sum; None where it holds nothing: 0 bytes is how iperf3 writes that it was not told."""
    size, rate, seconds = (number(sums.get(key)) for key in ("bytes", "bits_per_second", "seconds"))
    if not sums or (size == 0 and not rate):
        return None
    if rate is None and size is not None and seconds:
        rate = 8 * size / seconds
    if rate is None or rate < 0 or (size is not None and size < 0):
        collector.bad(row, field, sums, "is not a rate above 0 bit/s", "the rate is left out")
        return None
    return (rate / 1e6, None if size is None else round(size)) if rate > 0 else None


def _packets(sums: dict[str, Any], row: int, collector: Collector) -> dict[str, Any]:
    """Datagrams sent and received; lost can come out below zero where some arrived twice: then nothing is known."""
    packets, lost = whole(sums.get("packets")), whole(sums.get("lost_packets"))
    if not packets or lost is None:
        return {}
    if not 0 <= lost <= packets:
        collector.bad(row, "lost_packets", lost, f"is not a part of {packets} packets", "the counts are left out")
        return {}
    return {"sent": packets, "received": packets - lost}


def _delivered(sent: _Rate | None, counts: dict[str, Any]) -> _Rate | None:
    """Old versions give a UDP run the sender's sum only: what arrived is its share of datagrams that were not lost."""
    if sent is None or counts["received"] == 0:
        return None
    share = counts["received"] / counts["sent"]
    return sent[0] * share, None if sent[1] is None else round(sent[1] * share)


def _intervals(run: dict[str, Any], suffix: str) -> _Rate | None:
    """The sum over the intervals that the receiver itself wrote, warm-up left out."""
    sums = [_part(one, f"sum{suffix}") for one in _items(run, "intervals")]
    kept = [(number(s.get("bytes")), number(s.get("seconds"))) for s in sums if not s.get("omitted")]
    sound = [(size, seconds) for size, seconds in kept if size is not None and size >= 0 and seconds and seconds > 0]
    size, seconds = sum(one for one, _ in sound), sum(one for _, one in sound)
    return (8 * size / seconds / 1e6, round(size)) if size > 0 else None


def _times(end: dict[str, Any]) -> dict[str, float]:
    """Least, mean and greatest RTT in ms over the streams that this end sent; 0 is how iperf3 writes unknown."""
    found = [_part(stream, "sender") for stream in _items(end, "streams")]
    senders = [one for one in found if one.get("sender", True)]
    least, mean, most = (
        [t / 1000 for one in senders if (t := number(one.get(key))) is not None and t > 0]
        for key in ("min_rtt", "mean_rtt", "max_rtt")
    )
    if not (senders and len(least) == len(mean) == len(most) == len(senders)):
        return {}
    return {"rtt_min_ms": min(least), "rtt_avg_ms": sum(mean) / len(mean), "rtt_max_ms": max(most)}
