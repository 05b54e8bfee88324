"""Readers of measurement files: the native record and the results of other tools.

`import_file(path, format)` gives the native records of a file, with everything in it that could not be used.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from probes.importers import blackbox, fping, iperf3, native, ndt7, perfsonar, ping, ripe_atlas, scamper, smokeping
from probes.importers.collector import Collector
from probes.importers.options import Options
from probes.importers.unpack import unpacked
from probes.reading import BadRecord, BadRecordsError, ImportResult, OnError
from probes.record import utc_ns

__all__ = ["FORMATS", "Format", "import_file"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format of measurement files: its name for `--as`, one line about it, and what reads it."""

    name: str
    description: str
    read: Callable[[BinaryIO, Collector, Options], None]


FORMATS: Final[dict[str, Format]] = {
    one.name: one
    for one in (
        Format("native", "nearserve's own record, Parquet or CSV with the same columns", native.read),
        Format("ripe-atlas", "RIPE Atlas results of ping and traceroute, JSON array or lines", ripe_atlas.read),
        Format("ping", "text of ping: Linux, macOS, BSD, busybox, Windows (English)", ping.read),
        Format("fping", "fping: -c, -C, -l, -Q, is alive, -J; stdout, stderr or both", fping.read),
        Format("scamper", "scamper's JSON: ping and trace", scamper.read),
        Format("blackbox", "Prometheus' blackbox_exporter: text of /probe, federation or tsdb dump", blackbox.read),
        Format("smokeping", "smokeping_prober: text of /metrics, federation or tsdb dump", smokeping.read),
        Format("ndt7", "M-Lab's NDT7 results: ndt-server's archive, rows that hold it, a client's summary", ndt7.read),
        Format("perfsonar", "perfSONAR: points of an esmond archive, results of pScheduler, as JSON", perfsonar.read),
        Format("iperf3", "iperf3 -J or --json-stream: TCP, UDP, either direction, client or server", iperf3.read),
    )
}


def import_file(
    path: Path | str,
    format: str,  # noqa: A002  the word the command line uses
    *,
    on_error: OnError = "fail",
    source: str | None = None,
    target: str | None = None,
    observed_at: datetime | None = None,
) -> ImportResult:
    """Reads one file of a named format, plain or in gzip, bzip2 or xz, into native records.

    `source`, `target` and `observed_at` (UTC where it has no zone) stand for what the file does not say and replace
    what it says. Raises BadRecordsError with all bad records when `on_error` is "fail" and there are any; whatever
    `on_error` is, when the file cannot be opened; ValueError when there is no such format.
    """
    if format not in FORMATS:
        raise ValueError(f"no format {format!r}: one of {', '.join(FORMATS)}")
    path = Path(path)
    collector = Collector(str(path))
    try:
        with path.open("rb") as raw:
            options = Options(
                source=source,
                target=target,
                observed_at=None if observed_at is None else utc_ns(observed_at),
                file_time=path.stat().st_mtime_ns,
            )
            _read(raw, FORMATS[format], collector, options)
    except OSError as error:
        reason = str(error.strerror or error)
        raise BadRecordsError([BadRecord(str(path), 0, "file", "", reason, "name a readable file")]) from error
    return collector.result(on_error)


def _read(raw: BinaryIO, chosen: Format, collector: Collector, options: Options) -> None:
    packed = unpacked(raw)
    if packed is None:
        chosen.read(raw, collector, options)
        return
    chosen.read(io.BufferedReader(packed), collector, options)
    if packed.failure:
        collector.bad(0, "file", "", f"the compression is broken: {packed.failure}", "fetch the file again")
