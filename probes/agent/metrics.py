"""The agent's own metrics, in Prometheus' format: a textfile that is replaced whole, or HTTP on loopback only."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from probes.agent.spool import Counts
from probes.record import Record
from probes.whole_file import write_whole

if TYPE_CHECKING:
    from probes.agent.uplink import Counts as UplinkCounts

PREFIX = "nearserve_agent"


class _AtAsking(Collector):
    """Figures that others keep, read when someone asks; those in `counters` only ever grow."""

    def __init__(self, prefix: str, texts: Mapping[str, str], counters: Sequence[str], read: Callable[[], Any]) -> None:
        self._prefix, self._texts, self._counters, self._read = prefix, texts, counters, read

    def collect(self) -> Iterable[Metric]:
        found = self._read()
        for name, text in self._texts.items():
            family = CounterMetricFamily if name in self._counters else GaugeMetricFamily
            yield family(f"{PREFIX}_{self._prefix}_{name}", text, value=float(getattr(found, name)))


_SPOOL: Final = {
    "depth": "Records that wait for the collector",
    "bytes": "Bytes that they take",
    "held": "Records in memory, as the disk does not take them",
    "writing": "Whether the disk takes records",
    "dropped": "Oldest records given up for the bound, over all starts",
    "lost": "Records that the disk never took, or in unsound databases, over all starts",
    "moved_aside": "Unsound databases, over all starts",
}
_UPLINK: Final = {
    "accepted": "Records that the collector took",
    "replayed": "Records that the collector had already",
    "refused": "Records that the collector refused",
    "failures": "Requests to the collector that failed",
}


class Metrics:
    """Every counter of one agent, in a registry of its own."""

    def __init__(self, spool_counts: Callable[[], Counts]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_AtAsking("spool", _SPOOL, ("dropped", "lost", "moved_aside"), spool_counts))

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"{PREFIX}_{name}", text, labels, registry=self.registry)

        self.rounds = counter("rounds", "Rounds by what became of them", "method", "outcome")
        self.probes = counter("probes", "Probes sent", "method")
        self.losses = counter("losses", "Probes sent and not answered", "method")
        self.records = counter("records", "Records measured", "method", "outcome")
        self.refusals = counter("refusals", "Measurements that the allowlist refused", "kind")
        self.address_refusals = counter("address_refusals", "Addresses that the allowlist refused at a lookup", "kind")
        self.limited = counter("limited", "Measurements left out for a rate limit", "method")
        self.dns_failures = counter("dns_failures", "Lookups that failed or ran out of time")
        self.dns_pending = counter("dns_pending", "Measurements left out in the first lookup of a name")
        self.method_failures = counter("method_failures", "Methods that raised or did not return", "method")
        self.clock_steps = counter("clock_steps", "Steps of the wall clock")
        self.suspensions = counter("suspensions", "Times that the machine slept")
        self.reloads = counter("reloads", "Reloads of targets or configuration", "outcome")
        self.targets = Gauge(f"{PREFIX}_targets", "Targets in the list", registry=self.registry)
        self.last_upload = Gauge(
            f"{PREFIX}_last_upload_timestamp_seconds", "When the collector last took records", registry=self.registry
        )
        self.started = Gauge(f"{PREFIX}_start_timestamp_seconds", "When the agent started", registry=self.registry)
        self.started.set_to_current_time()

    def watch_uplink(self, counts: Callable[[], "UplinkCounts"]) -> None:
        """Tells of the uplink from now on."""
        self.registry.register(_AtAsking("uplink", _UPLINK, tuple(_UPLINK), counts))
        self.last_upload.set_function(lambda: (counts().last_success_ns or 0) / 1e9)

    def count(self, records: Iterable[Record]) -> None:
        """Probes, losses and outcomes of measured records."""
        for record in records:
            self.records.labels(record.method, "error" if record.error else "ok").inc()
            if record.sent is not None and record.received is not None:
                self.probes.labels(record.method).inc(record.sent)
                self.losses.labels(record.method).inc(record.sent - record.received)

    def write(self, path: Path) -> None:
        """Replaces the textfile; OSError where it cannot."""
        write_whole(path, generate_latest(self.registry))

    def serve(self, port: int) -> None:
        """Answers on 127.0.0.1 from a thread of its own; OSError where the port is taken."""
        start_http_server(port, addr="127.0.0.1", registry=self.registry)
