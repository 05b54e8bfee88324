"""blackbox_exporter's metrics, one record a probe: a scrape of /probe, its debug page, a federation or a tsdb dump.

The round trip is the phase `rtt` of an ICMP probe and the phase `connect` of an HTTP probe (one handshake, where there
was no redirect: the phases are sums over all of them). `probe_duration_seconds` holds name lookups, handshakes and the
server's own time: it is never a round trip, so TCP, DNS and gRPC probes tell only whether they succeeded. All is in
seconds. A failed probe writes its phases as 0, which is no time. An HTTP probe that failed by what the server answered
was answered. Scrapes have no target of their own: it is the label that Prometheus adds, the log of a debug page, or
the person's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from probes.importers.collector import Collector
from probes.importers.exposition import Mark, Sample, host_of, samples
from probes.importers.options import Options, overridden
from probes.importers.text import family_of
from probes.record import Record

METHOD: Final = "imported:blackbox"
_TARGET_LABELS: Final = ("target", "instance", "host", "hostname")
_KINDS: Final = {  # metric → the method of its probes
    "probe_icmp_duration_seconds": METHOD,
    "probe_http_duration_seconds": f"{METHOD}-http",
    "probe_dns_duration_seconds": f"{METHOD}-dns",
    "probe_grpc_duration_seconds": f"{METHOD}-grpc",
    "probe_websocket_duration_seconds": f"{METHOD}-websocket",
}
_PHASES: Final = {"probe_icmp_duration_seconds": "rtt", "probe_http_duration_seconds": "connect"}
_SINGLE: Final = ("probe_success", "probe_ip_protocol", "probe_http_redirects", "probe_http_status_code")
_MEND: Final = "probe again, or leave it out"


@dataclass
class _Probe:
    """The samples of one probe: value by metric, and by (metric, phase) where there are phases."""

    row: int
    labels: dict[str, str]
    time: int | None
    values: dict[tuple[str, str], float] = field(default_factory=dict)


def read(stream: BinaryIO, collector: Collector, options: Options) -> None:
    """Reads sample by sample; memory holds the probes of one scrape, or of the whole file where no scrape ends."""
    reader = _Reader(collector, options)
    for found in samples(stream, collector):
        if isinstance(found, Mark):
            reader.mark(found)
        elif found.name in _SINGLE or found.name in _KINDS:
            reader.take(found)
    reader.end()
    if not reader.found:
        collector.bad(0, "file", "", "holds no probe", "give what /probe answers, not /metrics of the exporter itself")


@dataclass
class _Reader:
    collector: Collector
    options: Options
    probes: dict[tuple[object, ...], _Probe] = field(default_factory=dict)
    scrape: Mark = field(default_factory=lambda: Mark(begins=True))
    found: bool = False

    def mark(self, mark: Mark) -> None:
        if mark.begins:
            self.end()
            self.scrape = mark
        else:
            time = self.scrape.time if self.scrape.time is not None else mark.time
            self.scrape = Mark(False, time, self.scrape.target or mark.target)

    def take(self, sample: Sample) -> None:
        phase = sample.labels.pop("phase", "")
        key = (sample.time, *sorted(sample.labels.items()))
        probe = self.probes.get(key)
        if probe is not None and (sample.name, phase) in probe.values:  # the next scrape has begun
            self._finish(self.probes.pop(key))
            probe = None
        if probe is None:
            probe = self.probes[key] = _Probe(sample.row, sample.labels, sample.time)
        probe.values[sample.name, phase] = sample.value

    def end(self) -> None:
        probes, self.probes = list(self.probes.values()), {}
        for probe in sorted(probes, key=lambda one: one.time or 0):
            self._finish(probe)

    def _finish(self, probe: _Probe) -> None:
        success = probe.values.get(("probe_success", ""))
        kind = next((name for name in _KINDS if any(metric == name for metric, _ in probe.values)), "")
        if success is None and not kind:
            return
        self.found = True
        self.collector.read += 1
        rtt_ms = self._rtt_ms(probe, kind, success)
        if success is None and rtt_ms is None:
            self.collector.bad(probe.row, "probe_success", "", "is missing: the scrape was cut off", _MEND)
            return
        if success not in (0, 1, None):
            self.collector.bad(probe.row, "probe_success", str(success), "is neither 0 nor 1", _MEND)
            return
        status = probe.values.get(("probe_http_status_code", ""), 0)
        answered = success in (1, None) or rtt_ms is not None or status > 0
        error = (
            None if success in (1, None) else f"probe_success 0{f', HTTP status {status:.0f}' if status > 0 else ''}"
        )
        if answered and kind not in _PHASES:
            self.collector.note(
                "TCP, DNS and gRPC probes have no round trip: probe_duration_seconds holds more than it"
            )
        self._add(probe, _KINDS.get(kind, f"{METHOD}-tcp"), answered, rtt_ms, error)

    def _rtt_ms(self, probe: _Probe, kind: str, success: float | None) -> float | None:
        seconds = probe.values.get((kind, _PHASES.get(kind, "")))
        if seconds is None or kind not in _PHASES:
            return None
        if probe.values.get(("probe_http_redirects", ""), 0) > 0:
            self.collector.note(
                "after a redirect `connect` is the sum of several handshakes: those probes have no time"
            )
            return None
        if 0 < seconds < float("inf"):
            # A failed echo has no round trip, whatever stands there; a handshake is one, whatever followed.
            return seconds * 1000 if success != 0 or kind != "probe_icmp_duration_seconds" else None
        if success == 1:
            message = "is not above 0 s"
            self.collector.bad(probe.row, kind, str(seconds), message, "the answer is counted without a time")
        return None

    def _add(self, probe: _Probe, method: str, answered: bool, rtt_ms: float | None, error: str | None) -> None:
        named = self._target(probe.labels)
        target = host_of(named)
        time = probe.time if probe.time is not None else self.scrape.time
        if time is None and self.options.observed_at is None:
            self.collector.note("a scrape without time stamps has the time at which the file was last written")
        if self.options.source is None:
            self.collector.note("blackbox_exporter does not write who measured: name the source")
        if not target and self.options.target is None:
            self.collector.note("a scrape does not name its target: name it, or the probe belongs to nobody")
        protocol = probe.values.get(("probe_ip_protocol", ""))
        record = Record(
            observed_at=time if time is not None else self.options.file_time or 0,
            source="",
            target=target,
            target_alias=named if named != target else None,
            method=method,
            family=int(protocol) if protocol in (4, 6) else family_of(target),
            sent=1,
            received=int(answered),
            rtt_ms=None if rtt_ms is None else (rtt_ms,),
            error=error,
        )
        self.collector.add(probe.row, overridden(record, self.options))

    def _target(self, labels: Mapping[str, str]) -> str:
        return next((labels[name] for name in _TARGET_LABELS if labels.get(name)), self.scrape.target)
