"""What the collector counts, for Prometheus, and how often it says why it refused something."""

import time
from pathlib import Path
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from probes.whole_file import write_whole

_LOG: Final = structlog.get_logger("nearserve.collector")
_BURST: Final = 10
_PER_S: Final = 1.0


class Counters:
    """One collector's counters, in a registry of their own. Every refusal is counted; a reason's log lines are few."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        prefix = "nearserve_collector_"

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(prefix + name, text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(prefix + name, text, labels, registry=self.registry)

        self.responses = counter("responses", "HTTP responses, by status", "status")
        self.refused = counter("refused", "Connections and requests refused, by reason", "reason")
        self.rows = counter("rows", "Rows of batches, by what became of them", "result")
        self.bytes = counter("body_bytes", "Bytes of accepted bodies, compressed")
        self.written = counter("written_rows", "Rows moved from the inbox into Parquet")
        self.files = counter("files", "Parquet files, by what happened to them", "action")
        self.failures = counter("failures", "Things that went wrong here, by task", "task")
        self.connections = gauge("connections", "Open connections")
        self.inbox_rows = gauge("inbox_rows", "Rows accepted and not yet in Parquet")
        self.inbox_bytes = gauge("inbox_bytes", "Bytes of them in the ledger")
        self.certificate = gauge("certificate_expires_seconds", "When the server's certificate ends, since 1970")
        self.last_seen = gauge("agent_last_seen_seconds", "When an agent last sent a batch, since 1970", "agent")
        self.agent_state = gauge("agent_state", "1 for the state that the agent is in", "agent", "state")
        self._allowance: dict[str, tuple[float, float, int]] = {}

    def refuse(self, reason: str, **context: Any) -> None:
        """Counts a refusal, and logs it unless this reason was logged too often just now."""
        self.refused.labels(reason).inc()
        self._say("refused", reason, context)

    def replayed(self, **context: Any) -> None:
        """Logs that rows came again, at the same limited rate: usual after a lost answer, telling when it goes on."""
        self._say("replayed", "replayed", context)

    def failed(self, task: str, error: BaseException, **context: Any) -> None:
        """Counts something that went wrong on this side, and logs it at the same limited rate."""
        self.failures.labels(task).inc()
        self._say("failed", task, context | {"error": f"{type(error).__name__}: {error}"})

    def text(self) -> bytes:
        """All counters in Prometheus' text format."""
        return generate_latest(self.registry)

    def write(self, path: Path) -> None:
        """All counters into a textfile, which appears whole."""
        write_whole(path, self.text())

    def _say(self, event: str, reason: str, context: dict[str, Any]) -> None:
        now = time.monotonic()
        tokens, at, silent = self._allowance.get(reason, (float(_BURST), now, 0))
        tokens = min(float(_BURST), tokens + (now - at) * _PER_S)
        if tokens < 1:
            self._allowance[reason] = (tokens, now, silent + 1)
            return
        self._allowance[reason] = (tokens - 1, now, 0)
        _LOG.warning(event, reason=reason, not_logged=silent, **context)
