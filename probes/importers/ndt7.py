"""M-Lab's NDT7 results, one record a test: the server's archive, BigQuery rows holding it (`raw`), a client's summary.

The source is the client and the target the server, so a download is `down`. The rate is the receiver's: bytes that the
client acknowledged in a download and that the server received in an upload, over the time since the test began, from
the last measurement of the server's TCP_INFO (bytes * 8 / microseconds is Mbit/s). All its times are microseconds, of
a TCP under the load of the test: such records are `loaded`. A test that failed is a record that says so. Other figures
that look like a result are not used: BBR's bandwidth is an estimate of its own, and what a client sent has not arrived.
"""

from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from probes.importers.collector import Collector
from probes.importers.json_values import Broken, values
from probes.importers.options import Options, overridden
from probes.importers.text import family_of, iso_time, number, plain_address, text_of, words
from probes.record import Record

METHOD: Final = "imported:ndt7"
_TESTS: Final = {"Download": "down", "Upload": "up"}
_RECEIVED: Final = {"Download": "BytesAcked", "Upload": "BytesReceived"}
_UNKNOWN_RTT: Final = 2**32 - 1  # what the kernel's minimum holds until there is one
_WHOLE_TEST_US: Final = 9e6  # M-Lab's own rule for a test of ten seconds
_MBPS: Final = {"bit/s": 1e-6, "kbit/s": 1e-3, "mbit/s": 1.0, "mbps": 1.0, "gbit/s": 1e3}
_MS: Final = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_MEND: Final = "leave the test out, or fetch it again"


@dataclass(frozen=True, slots=True)
class _Figures:
    """What one test measured."""

    mbps: float | None = None
    bytes: int | None = None
    rtt_min_ms: float | None = None
    rtt_avg_ms: float | None = None
    rtt_max_ms: float | None = None
    error: str | None = None


def read(stream: BinaryIO, collector: Collector, options: Options) -> None:
    """Reads results one after another: one document a file, lines, or an array; memory holds the records and one."""
    text = text_of(stream)
    found = False
    for row, value in values(text, _is_result):
        for result in value if isinstance(value, list) else [value]:
            found = True
            _read_one(result, row, collector, options)
    text.detach()
    if not found:
        collector.bad(0, "file", "", "holds no result of NDT7", "give the JSON that ndt-server archives")


def _is_result(value: Any) -> bool:
    return isinstance(value, dict) and any(key in value for key in ("raw", "Download", "Upload", "ServerIP"))


def _read_one(value: Any, row: int, collector: Collector, options: Options) -> None:
    if isinstance(value, Broken):
        collector.read += 1
        collector.bad(row, "result", value.text, f"is not JSON: {value.message}", _MEND)
        return
    if isinstance(value, dict) and value.get("Key") in ("starting", "connected", "measurement", "complete"):
        collector.note("passed over a client's progress: its summary is what is read")
        return
    result = value["raw"] if isinstance(value, dict) and isinstance(value.get("raw"), dict) else value
    if not _is_result(result):
        collector.read += 1
        collector.bad(row, "result", value, "is not a result of NDT7 with its measurements", _MEND)
        return
    tests = [name for name in _TESTS if isinstance(result.get(name), dict)]
    if not tests:
        collector.read += 1
        odd = {name: result[name] for name in _TESTS if result.get(name) is not None}
        if odd:
            collector.bad(row, next(iter(odd)), odd, "is not a test", _MEND)
        else:
            _add(result, "", {}, _Figures(error="the test never began"), row, collector, options)
    for name in tests:
        collector.read += 1
        test = result[name]
        is_summary = "ServerMeasurements" not in test and ("Value" in test or "Throughput" in test)
        figures = _summary(result, name, row, collector) if is_summary else _measured(test, name, row, collector)
        _add(result, name, test, figures, row, collector, options)


def _add(
    result: dict[str, Any],
    name: str,
    test: dict[str, Any],
    figures: _Figures,
    row: int,
    collector: Collector,
    options: Options,
) -> None:
    client, server = plain_address(words(result.get("ClientIP"))), plain_address(words(result.get("ServerIP")))
    host = words(result.get("ServerFQDN"))
    if not (client and (server or host)) and options.source is None:
        collector.note("a result without the addresses of both ends belongs to nobody: name them")
    stamps = [(key, one.get(key)) for one in (test, result) for key in ("StartTime", "TestTime")]
    time = next((found[0] for _, stamp in stamps if (found := iso_time(stamp)) and found[0] > 0), None)
    if time is None and options.observed_at is None:
        given = next((stamp for _, stamp in stamps if stamp), None)
        if given is not None:
            collector.bad(row, "StartTime", given, "is not a date and time", "give the time")
            return
        collector.note("a result without a time has the time at which the file was last written")
    target = server or host
    record = Record(
        observed_at=time if time is not None else options.file_time or 0,
        source=client,
        target=target,
        target_alias=host if host and host != target else None,
        method=METHOD,
        family=family_of(server) or family_of(client),
        mbps=figures.mbps,
        bytes=figures.bytes,
        direction=_TESTS.get(name),
        rtt_min_ms=figures.rtt_min_ms,
        rtt_avg_ms=figures.rtt_avg_ms,
        rtt_max_ms=figures.rtt_max_ms,
        loaded=True,
        error=figures.error,
    )
    collector.add(row, overridden(record, options))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _measured(test: dict[str, Any], name: str, row: int, collector: Collector) -> _Figures:
    """The figures of a test from the measurements of its server."""
    infos = [one["TCPInfo"] for one in _objects(test.get("ServerMeasurements")) if isinstance(one.get("TCPInfo"), dict)]
    timed = [(time, info) for info in infos if (time := number(info.get("ElapsedTime"))) is not None and time > 0]
    times = _times(infos)
    if not timed:
        counted = _counted_by_client(test) if name == "Download" else None
        if counted is not None:
            return _Figures(counted[0], counted[1], *times, error=_early(test, counted[2]))
        return _Figures(None, None, *times, error="the test has no measurement of its server")
    elapsed, last = max(timed, key=lambda one: one[0])
    size = number(last.get(_RECEIVED[name]))
    if size is None or size < 0:
        field = _RECEIVED[name]
        collector.bad(row, field, last.get(field, ""), "is not a count of bytes", "the rate is left out")
        return _Figures(None, None, *times, error="the test has no count of bytes")
    if size == 0:
        return _Figures(None, None, *times, error="nothing was transferred")
    return _Figures(8 * size / elapsed, round(size), *times, error=_early(test, elapsed))


def _times(infos: list[dict[str, Any]]) -> tuple[float | None, float | None, float | None]:
    """Least, mean and greatest RTT in ms; the least is the kernel's own, the others are of its smoothed RTT."""
    least = [t for info in infos if (t := number(info.get("MinRTT"))) is not None and 0 < t < _UNKNOWN_RTT]
    smooth = [t for info in infos if (t := number(info.get("RTT"))) is not None and 0 < t < _UNKNOWN_RTT]
    if not least:
        return None, None, None
    low = min(least) / 1000
    mean, most = (sum(smooth) / len(smooth) / 1000, max(smooth) / 1000) if smooth else (None, None)
    return (low, mean, most) if mean is None or mean >= low else (low, None, None)


def _counted_by_client(test: dict[str, Any]) -> tuple[float, int, float] | None:
    """(Mbit/s, bytes, microseconds) that the client of a download received; None where it does not say."""
    infos = [one["AppInfo"] for one in _objects(test.get("ClientMeasurements")) if isinstance(one.get("AppInfo"), dict)]
    figures = [(number(one.get("ElapsedTime")), number(one.get("NumBytes"))) for one in infos]
    sound = [(time, size) for time, size in figures if time is not None and size is not None and time > 0 and size > 0]
    if not sound:
        return None
    elapsed, size = max(sound)
    return 8 * size / elapsed, round(size), elapsed


def _early(test: dict[str, Any], elapsed: float) -> str | None:
    """Why a rate is doubtful: a test that was cut has seen TCP's beginning only, unless its client asked for that."""
    asked = any(words(one.get("Name")).startswith("early_exit") for one in _objects(test.get("ClientMetadata")))
    return None if elapsed >= _WHOLE_TEST_US or asked else f"ended after {elapsed / 1e6:.1f} s of 10"


def _summary(result: dict[str, Any], name: str, row: int, collector: Collector) -> _Figures:
    """What ndt7-client prints at its end (-format json -quiet), in either of its two forms."""
    test = result[name]
    latency = test.get("Latency", result.get("MinRTT") if name == "Download" else None)
    mbps = _quantity(test.get("Throughput", test), _MBPS)
    rtt_ms = _quantity(latency, _MS)
    if mbps is None:
        collector.bad(row, name, test, "is not a rate above 0 with its unit", "the rate is left out")
    return _Figures(mbps, rtt_min_ms=rtt_ms, error=None if mbps else "the test has no rate")


def _quantity(value: Any, units: dict[str, float]) -> float | None:
    """A figure above 0 with its unit."""
    if not isinstance(value, dict):
        return None
    figure, unit = number(value.get("Value")), units.get(words(value.get("Unit")).lower())
    return figure * unit if figure is not None and unit is not None and figure > 0 else None
