"""The agent at work: one thread that waits, decides and keeps; one that measures; one that uploads.

The main thread never measures and never resolves, so a signal is heard at once and the service manager's watchdog is
answered as long as decisions are made. What a piece of a round gave is in the spool before the next piece begins.
"""

import contextlib
import select
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from probes.agent.config import Config, unused
from probes.agent.lookups import WORKERS, Lookups, Resolver, system_resolver
from probes.agent.measuring import METHODS, Measure, means
from probes.agent.metrics import Metrics
from probes.agent.pins import Pins
from probes.agent.rounds import Rounds
from probes.agent.schedule import Due, Schedule
from probes.agent.service import ServiceManager
from probes.agent.signals import Signals
from probes.agent.sources import Sources
from probes.agent.spool import Spool, Tell
from probes.agent.tally import Tally
from probes.agent.targets import Target
from probes.agent.worker import Outcome, Piece, Worker
from probes.document import DocumentError
from probes.record import EARLIEST, Record, utc_ns
from probes.wire.clock import SUSPENDED_NS, Reading
from probes.wire.keys import KeyFileError

TICK_S: Final = 1.0
STOP_S: Final = 1.2
"""How long a piece under way may go on after SIGTERM."""
METRICS_EVERY_S: Final = 15.0
FILES_EVERY_S: Final = 2.0
FIXED: Final = ("agent", "user", "spool", "collector", "dns", "metrics")
"""What a reload cannot change."""
_STEP_NS: Final = 1_000_000


class Agent:
    """One running agent. `spool`, `metrics` and `tell` are open and at work already; secrets are read here."""

    def __init__(
        self,
        sources: Sources,
        spool: Spool,
        metrics: Metrics,
        tell: Tell,
        resolver: Resolver = system_resolver,
        methods: dict[str, Measure] = METHODS,
        reading: Callable[[], Reading] = Reading.now,
    ) -> None:
        self._sources, self._spool, self._metrics, self._tell, self._reading = sources, spool, metrics, tell, reading
        self._methods = methods
        self._manager = ServiceManager()
        config = sources.config
        self._means = means(config, sources.path)
        self._pins = Pins(
            Lookups(resolver, config.dns.timeout_s),
            config.allow.policy,
            config.dns.refresh_s,
            config.dns.keep_s,
            tell,
            lambda refusal: metrics.address_refusals.labels(refusal.kind).inc(),
        )
        self._worker = Worker(self._measure, reading)
        self._last = reading()
        self._clock_unset = False
        self.tally: Tally | None = None
        """Of `run_once`; None in a run without end."""
        self._next_files_s = self._next_metrics_s = 0.0
        self._rounds = Rounds(config, self._pins, metrics, tell, time.monotonic())
        self._schedule = Schedule(config.agent, _intervals(config), time.monotonic())
        self._watch_targets()

    def run(self, signals: Signals) -> None:
        """Measures until told to stop; raises TooManyHungError where only a new process helps."""
        self._manager.tell("READY=1", f"STATUS={len(self._sources.targets)} targets")
        try:
            while not signals.stop:
                self._tick(signals)
                self._wait(signals, self._schedule.wake_s())
        finally:
            self._manager.tell("STOPPING=1")
            self._finish()

    def run_once(self, signals: Signals) -> None:
        """Measures every target once with each of its methods; `tally` says what that came to."""
        self.tally = Tally()
        now = time.monotonic()
        turns = 1 + len(self._sources.targets) // WORKERS
        self._pins.refresh(now, wait_s=(self._sources.config.dns.timeout_s + 1) * turns)
        for method in self._sources.config.methods.used:
            self._begin(Due(method, 0, 0), [t.model_copy(update={"every": 1}) for t in self._sources.targets])
        self._advance()
        while not signals.stop and not self._rounds.idle:
            self._wait(signals, float("inf"))
            self._advance()
        self._finish()

    # One turn of the loop.

    def _tick(self, signals: Signals) -> None:
        now = time.monotonic()
        self._watch_clock()
        if signals.reload or now >= self._next_files_s:
            self._next_files_s = now + FILES_EVERY_S
            self._reload(forced=signals.reload)
            signals.reload = False
        self._metrics.dns_failures.inc(self._pins.refresh(now))
        for due in self._schedule.take(now):
            self._begin(due, self._sources.targets)
        self._advance()
        self._spool.flush()
        if now >= self._next_metrics_s:
            self._next_metrics_s = now + METRICS_EVERY_S
            self._write_metrics()
        if self._manager.watchdog_s:
            self._manager.tell("WATCHDOG=1")

    def _wait(self, signals: Signals, until_s: float) -> None:
        """Until a signal, the end of a piece, the time given, or the tick."""
        ticks = min(TICK_S, self._manager.watchdog_s / 3 or TICK_S)
        timeout = min(max(until_s - time.monotonic(), 0.0), ticks)
        with contextlib.suppress(InterruptedError):
            select.select([signals.fd, self._worker.done_fd], [], [], timeout)
        signals.clear()

    def _begin(self, due: Due, targets: list[Target]) -> None:
        if self._clock_unset:
            self._metrics.rounds.labels(due.method, "clock_unset").inc(1 + due.missed)
            return
        self._keep(self._rounds.begin(due, targets, time.monotonic()))

    def _advance(self) -> None:
        """Keeps what was measured, and starts the next piece."""
        self._worker.clear()
        outcome = self._worker.finished()
        if outcome is not None:
            self._take(outcome)
        if self._worker.piece is None:
            piece = self._rounds.next(time.monotonic())
            if piece is not None:
                self._worker.begin(piece)

    def _take(self, outcome: Outcome) -> None:
        piece, records = outcome.piece, outcome.records
        if outcome.failure is not None:
            self._metrics.method_failures.labels(piece.method).inc()
            self._tell("method_failed", method=piece.method, error=outcome.failure, targets=len(piece.endpoints))
            records = [self._failed(piece, place, outcome.failure) for place in range(len(piece.endpoints))]
        if outcome.slept:
            self._metrics.rounds.labels(piece.method, "slept").inc()
            self._tell("round_discarded", method=piece.method, why="the machine slept", targets=len(piece.endpoints))
        elif self.tally is not None and outcome.failure is None:
            self.tally.add(records)
        self._keep(records)
        self._rounds.done(piece, records, time.monotonic())

    def _failed(self, piece: Piece, place: int, why: str) -> Record:
        endpoint = piece.endpoints[place]
        return Record(
            observed_at=time.time_ns(),
            source=self._sources.config.source,
            target=endpoint.name,
            target_alias=endpoint.alias,
            method=piece.method,
            family=endpoint.family,
            error=f"agent: {why}"[:200],
        )

    def _keep(self, records: list[Record]) -> None:
        if records:
            self._metrics.count(records)
            self._spool.append(records)

    def _measure(self, piece: Piece) -> list[Record]:
        """In the measuring thread."""
        given = replace(self._means, max_bytes=piece.max_bytes) if piece.max_bytes else self._means
        return self._methods[piece.method](piece.endpoints, piece.settings, given)

    # What changes around it.

    def _reload(self, forced: bool) -> None:
        """Targets when their file changed, everything on SIGHUP; what is bad is told, and the old stays in force."""
        if not (forced or self._sources.targets_changed()):
            return
        before = self._sources.config
        try:
            self._means = self._sources.read(forced, lambda config: means(config, self._sources.path))
        except (DocumentError, KeyFileError) as error:
            self._metrics.reloads.labels("failed").inc()
            self._tell("reload_failed", faults=str(error).splitlines()[:20])
            return
        self._metrics.reloads.labels("ok").inc()
        self._tell("reloaded", targets=len(self._sources.targets))
        if self._sources.config != before:
            self._reconfigure(before)
        self._watch_targets()

    def _reconfigure(self, before: Config) -> None:
        config, now = self._sources.config, time.monotonic()
        fixed = [name for name in FIXED if getattr(config, name) != getattr(before, name)]
        if fixed:
            self._tell("reload_needs_restart", keys=fixed)
        self._pins.enforce(config.allow.policy)
        self._rounds.reconfigure(config, self._worker.piece, now)
        if _intervals(config) != _intervals(before):
            self._schedule = Schedule(config.agent, _intervals(config), now)

    def _watch_targets(self) -> None:
        targets = self._sources.targets
        self._pins.watch(targets)
        self._metrics.targets.set(len(targets))
        for method, count in unused(self._sources.config, targets).items():
            self._tell("method_not_used", method=method, targets=count)

    def _watch_clock(self) -> None:
        """Counts steps of the wall clock and sleep of the machine since the last look."""
        now = self._reading()
        before, self._last = self._last, now
        step_ns, slept_ns = before.step_ns(now), before.suspended_ns(now)
        if slept_ns >= SUSPENDED_NS:
            self._metrics.suspensions.inc()
            self._tell("machine_slept", seconds=round(slept_ns / 1e9, 3))
        elif abs(step_ns) > _STEP_NS + (now.monotonic_ns - before.monotonic_ns) // 1000:
            self._metrics.clock_steps.inc()
            self._tell("clock_stepped", seconds=round(step_ns / 1e9, 6))
        unset = now.realtime_ns < utc_ns(EARLIEST)
        if unset and not self._clock_unset:
            self._tell("clock_unset", now_ns=now.realtime_ns, mend="set the clock; nothing is measured before 1990")
        self._clock_unset = unset

    def _write_metrics(self) -> None:
        textfile = self._sources.config.metrics.textfile
        if textfile is None:
            return
        try:
            self._metrics.write(self._sources.resolved(textfile))
        except OSError as error:
            self._tell("metrics_not_written", error=str(error))

    def _finish(self) -> None:
        """Waits a moment for the piece under way, keeps it, and tells what is left undone."""
        until = time.monotonic() + STOP_S
        while self._worker.piece is not None and time.monotonic() < until:
            select.select([self._worker.done_fd], [], [], max(until - time.monotonic(), 0.0))
            self._worker.clear()
            outcome = self._worker.finished()
            if outcome is not None:
                self._take(outcome)
        under_way = self._worker.piece
        undone = self._rounds.abandon() + (len(under_way.endpoints) if under_way else 0)
        if undone:
            self._tell("round_abandoned", targets=undone)
        self._worker.close()
        self._spool.flush()
        self._write_metrics()


def _intervals(config: Config) -> dict[str, float]:
    return {name: method.interval_s for name, method in config.methods.used.items()}
