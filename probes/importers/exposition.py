"""Prometheus' text exposition and OpenMetrics, sample by sample: what a scrape, a federation or `tsdb dump` gives.

Each line is parsed by itself, so that a damaged one costs itself only and a huge file no memory. Time stamps are
milliseconds in Prometheus' text and seconds in OpenMetrics; their size tells which (10^11 s is the year 5138). Scrapes
may follow one another in a file: the headers of HTTP (curl -i), `# EOF` and blackbox_exporter's debug page mark where
one begins; without a mark, the reader sees a sample come again.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import BinaryIO, Final, TextIO
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from probes.importers.collector import Collector
from probes.importers.text import iso_time, number, text_of
from probes.record import utc_ns

_LONGEST_LINE: Final = 1 << 16
_SECONDS_BELOW: Final = 1e11
_EXEMPLAR: Final = re.compile(r'((?:[^"#]|"(?:\\.|[^"\\])*")*?)\s+#\s')
_AFTER_NAME: Final = re.compile(r'[^{\s]*\s*(?:\{(?:[^"}]|"(?:\\.|[^"\\])*")*\})?\s*(?P<figures>.*)')
_DEBUG_BEGINS: Final = "Logs for the probe:"
_DEBUG_METRICS: Final = "Metrics that would have been returned:"
_DEBUG_ENDS: Final = "Module configuration:"
_LOG_TIME: Final = re.compile(r"(?:ts|time)=(\S+)")
_LOG_TARGET: Final = re.compile(r'\btarget=("[^"]*"|\S+)')


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: `time` is nanoseconds since 1970 UTC, None where there is none; the value may be NaN or infinite."""

    row: int
    name: str
    labels: dict[str, str]
    value: float
    time: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A new scrape begins, or what is known of the present one: when it was, and of which target."""

    begins: bool
    time: int | None = None
    target: str = ""


def samples(stream: BinaryIO, collector: Collector) -> Iterator[Sample | Mark]:
    """Every sample in the order of the file; a line that is none is reported."""
    text = text_of(stream)
    found = False
    for row, line in _metric_lines(text):
        if isinstance(line, Mark):
            yield line
            continue
        sample = _sample(row, line)
        if sample is None:
            collector.bad(row, "line", line, "is no sample of Prometheus' text format", "remove it, or scrape again")
            continue
        found = True
        yield sample
    text.detach()
    if not found:
        collector.bad(0, "file", "", "holds no sample", "give what the exporter's /metrics or /probe answers, as text")


def _metric_lines(text: TextIO) -> Iterator[tuple[int, str | Mark]]:
    """Lines that should be samples, and marks; headers, comments and the rest of a debug page are passed over."""
    row = 0
    part = ""  # "", or the part of a page that holds no samples
    while raw := text.readline(_LONGEST_LINE):
        row += 1
        line = raw.strip()
        if re.match(r"HTTP/\d", line):
            part = "headers"
            yield row, Mark(begins=True)
        elif line.startswith(_DEBUG_BEGINS):
            part = "logs"
            yield row, Mark(begins=True)
        elif line.startswith(_DEBUG_METRICS) or (part == "headers" and not line):
            part = ""
        elif line.startswith(_DEBUG_ENDS):
            part = "configuration"
        elif part == "headers":
            if line.lower().startswith("date:"):
                yield row, Mark(begins=False, time=_http_date(line[5:]))
        elif part == "logs":
            time, target = _LOG_TIME.search(line), _LOG_TARGET.search(line)
            if time or target:
                yield row, Mark(False, _log_time(time[1]) if time else None, target[1].strip('"') if target else "")
        elif line == "# EOF":
            yield row, Mark(begins=True)
        elif line and not line.startswith("#") and not part:
            yield row, line


def _sample(row: int, line: str) -> Sample | None:
    if " # " in line and (match := _EXEMPLAR.match(line)):
        line = match[1]
    match = _AFTER_NAME.fullmatch(line)
    figures = match["figures"].split() if match else []
    if not 1 <= len(figures) <= 2:  # a value, and perhaps a time
        return None
    try:
        found = [sample for family in text_string_to_metric_families(line) for sample in family.samples]
    except Exception:  # the parser indexes and slices what it is given
        return None
    if len(found) != 1:
        return None
    labels = {str(name): str(value) for name, value in found[0].labels.items()}
    name = labels.pop("__name__", "") or str(found[0].name)
    time = number(figures[1]) if len(figures) > 1 else None
    if (len(figures) > 1 and time is None) or not name:
        return None
    return Sample(row, name, labels, float(found[0].value), None if time is None else _nanoseconds(time))


def _nanoseconds(stamp: float) -> int:
    milliseconds = stamp * 1000 if abs(stamp) < _SECONDS_BELOW else stamp
    return round(milliseconds) * 1_000_000


def _http_date(text: str) -> int | None:
    try:
        return utc_ns(parsedate_to_datetime(text.strip()))
    except (ValueError, TypeError, OverflowError):
        return None


def _log_time(text: str) -> int | None:
    time = iso_time(text.strip('"'))
    return time[0] if time and time[1] else None


def host_of(text: str) -> str:
    """The host in a target as exporters name it: a URL, HOST:PORT, [ADDRESS]:PORT, or the host alone."""
    try:
        if "://" in text:
            return urlsplit(text).hostname or text
        if text.startswith("[") or text.count(":") == 1:
            return urlsplit(f"//{text}").hostname or text
    except ValueError:
        return text
    return text
