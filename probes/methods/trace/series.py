"""The order of a trace: TTLs in small waves until the target answers, then the same hops again for more samples."""

import select
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from probes.methods.trace.path import Answer, Flow, Hop
from probes.methods.trace.prober import Prober, Seen
from probes.wire.pacing import Pacer
from probes.wire.watch import Watch

_EXCEEDED: Final = {4: ((11, 0),), 6: ((3, 0),)}
_SIDE: Final = 8  # TTLs that are tried before it is looked whether the target was among them
_SAYS_SO: Final = {
    4: {0: "network unreachable", 1: "host unreachable", 4: "fragmentation needed"},
    6: {0: "no route", 3: "address unreachable"},
}
_UNREACHABLE: Final = {4: 3, 6: 1}


@dataclass(frozen=True, slots=True)
class Plan:
    """How far and how often: `gap` silent hops in a row end a series that has not reached the target."""

    probes: int
    max_ttl: int
    gap: int
    timeout_s: float
    interval_s: float
    rate_per_s: float


@dataclass
class Series:
    """One flow as it grows."""

    prober: Prober
    target: str
    family: int
    reached_at: int | None = None
    ended_at: int | None = None
    ended: str | None = None
    unmatched: int = 0
    error: str | None = None
    sent: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # number: ttl, ns, epoch
    answers: dict[int, Answer] = field(default_factory=dict)
    _waiting: set[int] = field(default_factory=set)

    def send(self, ttl: int, watch: Watch) -> None:
        """One probe; what the system refuses ends the series."""
        number = len(self.sent) + 1
        try:
            at_ns = self.prober.send(ttl, number)
        except OSError as error:
            self.ended, self.ended_at = f"not sent: {error.strerror or error}", ttl
            self.error = self.ended
            return
        self.sent[number] = (ttl, at_ns, watch.epoch)
        self._waiting.add(number)

    @property
    def waits(self) -> bool:
        """Whether a probe under way has no answer yet."""
        return bool(self._waiting)

    def give_up(self) -> None:
        """Waits no longer for what is under way; an answer that comes later still counts."""
        self._waiting.clear()

    def take(self, watch: Watch) -> None:
        """Reads what came back."""
        for seen in self.prober.receive():
            number = self._number(seen)
            if number is None:
                self.unmatched += 1
            elif number in self.sent and number not in self.answers:
                self._waiting.discard(number)
                self._answer(number, seen, watch)

    def _number(self, seen: Seen) -> int | None:
        """The probe that is answered; one alone under way needs no name."""
        if seen.number is not None:
            return seen.number
        return next(iter(self._waiting)) if len(self._waiting) == 1 else None

    def _answer(self, number: int, seen: Seen, watch: Watch) -> None:
        ttl, sent_ns, epoch = self.sent[number]
        rtt_ms = (seen.at_ns - sent_ns) / 1e6 if seen.at_ns is not None and watch.look() == epoch else None
        usable = rtt_ms if rtt_ms is not None and rtt_ms > 0 else None
        self.answers[number] = Answer(seen.address, usable, seen.icmp, seen.labels)
        if seen.final or (seen.address == self.target and seen.icmp not in _EXCEEDED[self.family]):
            self.reached_at = min(ttl, self.reached_at or ttl)
        elif seen.icmp is not None and seen.icmp[0] == _UNREACHABLE[self.family]:
            self._refused(ttl, seen.icmp)

    def _refused(self, ttl: int, icmp: tuple[int, int]) -> None:
        if self.ended_at is None or ttl < self.ended_at:
            said = _SAYS_SO[self.family].get(icmp[1], f"unreachable, code {icmp[1]}")
            self.ended, self.ended_at = said, ttl

    @property
    def length(self) -> int | None:
        """The last TTL that is of use, once it is known."""
        known = [ttl for ttl in (self.reached_at, self.ended_at) if ttl is not None]
        return min(known) if known else None

    def silent_tail(self) -> int:
        """How many of the TTLs sent last were answered by nobody."""
        last = max((ttl for ttl, _, _ in self.sent.values()), default=0)
        heard = max((self.sent[number][0] for number in self.answers), default=0)
        return last - heard

    def heard(self, ttl: int) -> bool:
        """Whether anybody answered at that TTL."""
        return any(self.sent[number][0] == ttl for number in self.answers)

    def flow(self) -> Flow:
        """The series as it stands."""
        last = max((ttl for ttl, _, _ in self.sent.values()), default=0)
        length = min(last, self.length or last)
        hops = tuple(self._hop(ttl) for ttl in range(1, length + 1))
        reached = self.reached_at is not None and self.reached_at == length
        return Flow(self.prober.flow, hops, reached, None if reached else self.ended, self.unmatched)

    def _hop(self, ttl: int) -> Hop:
        numbers = [number for number, (at, _, _) in self.sent.items() if at == ttl]
        return Hop(ttl, len(numbers), tuple(self.answers[n] for n in numbers if n in self.answers))


def run(series: Sequence[Series], plan: Plan, watch: Watch) -> None:
    """All series side by side, none faster together than the plan's rate."""
    pacer = Pacer(plan.rate_per_s, time.monotonic_ns())
    for first in range(1, plan.max_ttl + 1, _SIDE):
        going = [one for one in series if one.length is None]
        if not going:
            break
        for ttls in _waves(range(first, min(first + _SIDE, plan.max_ttl + 1)), going):
            _wave([(one, ttl) for one in going for ttl in ttls if one.length is None], plan, pacer, watch)
        for one in going:
            if one.length is None and one.silent_tail() >= plan.gap:
                one.ended, one.ended_at = f"{plan.gap} silent hops in a row", max(t for t, _, _ in one.sent.values())
    for _ in range(plan.probes - 1):
        pacer.hold_until(time.monotonic_ns() + round(plan.interval_s * 1e9))
        farthest = max((one.flow().hops[-1].ttl for one in series if one.flow().hops), default=0)
        for ttls in _waves(range(1, farthest + 1), series):
            _wave([(one, ttl) for one in series for ttl in ttls if ttl <= len(one.flow().hops)], plan, pacer, watch)
    for one in series:
        if one.unmatched:
            _one_by_one(one, plan, pacer, watch)


def _waves(ttls: range, series: Sequence[Series]) -> Iterator[range]:
    """The TTLs in stretches of as many as may be under way at once."""
    at_once = min((one.prober.at_once for one in series), default=1)
    for first in range(ttls.start, ttls.stop, at_once):
        yield range(first, min(first + at_once, ttls.stop))


def _one_by_one(one: Series, plan: Plan, pacer: Pacer, watch: Watch) -> None:
    """Where routers quote too little, the hops without an answer again, each alone on its way."""
    for hop in one.flow().hops:
        if hop.silent:
            _wave([(one, hop.ttl)], plan, pacer, watch)


def _wave(probes: Sequence[tuple[Series, int]], plan: Plan, pacer: Pacer, watch: Watch) -> None:
    """Sends the probes at the plan's rate and waits for their answers, at most the timeout after the last."""
    left = list(probes)
    until_ns = 0
    while left or (any(one.waits for one, _ in probes) and time.monotonic_ns() < until_ns):
        now_ns = time.monotonic_ns()
        for _ in range(pacer.take(now_ns, len(left)) if left else 0):
            one, ttl = left.pop(0)
            if one.length is None or ttl <= one.length:
                one.send(ttl, watch)
            until_ns = time.monotonic_ns() + round(plan.timeout_s * 1e9)
        if not left and not any(one.waits for one, _ in probes):
            break
        wake_ns = pacer.wake_ns(len(left)) if left else until_ns
        _listen({one.prober.flow: one for one, _ in probes}.values(), max(0, wake_ns - time.monotonic_ns()))
        for one, _ in probes:
            one.take(watch)
    for one, _ in probes:
        one.give_up()


def _listen(series: Iterable[Series], wait_ns: int) -> None:
    poller = select.poll()
    for one in series:
        for sock in one.prober.sockets():
            poller.register(sock, select.POLLIN | select.POLLOUT if one.prober.at_once == 1 else select.POLLIN)
    poller.poll(wait_ns / 1e6)
