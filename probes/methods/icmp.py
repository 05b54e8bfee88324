"""ICMP echo to many endpoints, v4 and v6 mixed: one socket a family, kernel receive stamps, no packet in Python.

The round trip is from the user's clock before a small batch leaves to the kernel's clock at the answer.
"""

import errno
import select
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import numpy as np
from numpy.typing import NDArray

from probes.methods.endpoint import Endpoint
from probes.methods.sweep import Sweep
from probes.wire.address import family_of
from probes.wire.batch import Inbox, Outbox
from probes.wire.echo import HEADER_BYTES, LEAST_PAYLOAD_BYTES, READ_BYTES, Requests
from probes.wire.error_queue import network_errors
from probes.wire.icmp_socket import KINDS, IcmpSocket, Kind, open_icmp
from probes.wire.pacing import Pacer, sleep_until, timer_slack
from probes.wire.watch import Watch

PAYLOAD_BYTES: Final = 16
"""An Ethernet frame of the least size carries 18 bytes: fewer would not be cheaper."""
LARGEST_PAYLOAD_BYTES: Final = 1400
_OUT_ROWS: Final = 1024
_IN_ROWS: Final = 4096
_SETTLE_NS: Final = 100_000_000
_TAIL_NS: Final = 5_000_000
_LONGEST_SLEEP_NS: Final = 50_000_000
_RETRIES: Final = 3
_NO_ROOM_MS: Final = 20


def sweep(
    endpoints: Sequence[Endpoint],
    *,
    rate_per_s: float,
    probes: int = 3,
    timeout_s: float = 1.0,
    interval_s: float = 0.2,
    payload_bytes: int = PAYLOAD_BYTES,
    kinds: tuple[Kind, ...] = KINDS,
) -> Sweep:
    """Send `probes` echo requests to every endpoint, round by round, and wait `timeout_s` for each answer.

    `interval_s` is the least time between two probes of one endpoint. `kinds` are the sockets to try, in their order.
    An answer counts once, and only from the address that was asked, with the probe's own token, in time.
    `errors` of the Sweep says by endpoint what was not sent and why, what ICMP errors came, and how many answers this
    machine itself dropped. Raises ValueError for figures out of range, NoIcmpSocketError where no socket is allowed.
    """
    _check(probes, timeout_s, interval_s, payload_bytes)
    watch = Watch()
    with ExitStack() as stack:
        flights: list[_Flight] = []
        errors: dict[int, list[str]] = {}
        for family in (socket.AF_INET, socket.AF_INET6):
            rows = [row for row, endpoint in enumerate(endpoints) if family_of(endpoint.address) == family]
            if not rows:
                continue
            try:
                opened = open_icmp(family, kinds)
            except OSError as error:
                if error.errno != errno.EAFNOSUPPORT:
                    raise
                errors |= {row: [f"not sent: {error.strerror}"] for row in rows}
                continue
            stack.enter_context(opened.socket)
            addresses = [endpoints[row].address for row in rows]
            flights.append(_Flight(opened, rows, addresses, probes, payload_bytes, timeout_s))
        stack.enter_context(timer_slack())
        _fly(flights, len(endpoints), Pacer(rate_per_s, time.monotonic_ns()), probes, interval_s, timeout_s, watch)
    return _sweep(endpoints, probes, flights, errors, watch)


class _Flight:
    """The probes of one family: what was sent, what came back. Probe j goes to host j mod T, row `rows[j mod T]`."""

    def __init__(
        self,
        opened: IcmpSocket,
        rows: Sequence[int],
        addresses: Sequence[str],
        rounds: int,
        payload_bytes: int,
        timeout_s: float,
    ) -> None:
        self.opened = opened
        self.fd = opened.socket.fileno()
        self.rows = np.array(rows, np.int64)
        self.requests = Requests.to(opened.family, opened.ident, addresses, rounds)
        self.said: dict[int, list[str]] = {}
        count = len(rows) * rounds
        self.sent_at_ns: NDArray[np.int64] = np.zeros(count, np.int64)
        self.rtt_ms: NDArray[np.float64] = np.full(count, np.nan)
        self.answered: NDArray[np.bool_] = np.zeros(count, np.bool_)
        self._later_ns: NDArray[np.int64] = np.zeros(count, np.int64)
        self._epochs: NDArray[np.int64] = np.zeros(count, np.int64)
        self._batches: list[tuple[int, int, int, int, int]] = []
        self._timeout_ms = timeout_s * 1e3
        self._outbox = Outbox(_OUT_ROWS, HEADER_BYTES + payload_bytes, opened.family)
        self._inbox = Inbox(_IN_ROWS, READ_BYTES)
        self._ip_header = opened.kind == "raw" and opened.family == socket.AF_INET
        self._next = 0
        self._cost_ns = np.inf

    def send(self, count: int, epoch: int) -> None:
        """Let the next `count` probes leave; what the kernel refuses for good is not sent, and told."""
        end, tries = self._next + count, 0
        while self._next < end:
            start = self._next % _OUT_ROWS
            if start == 0 and tries == 0:
                fill = min(_OUT_ROWS, len(self.sent_at_ns) - self._next)
                self.requests.write(self._next, self._outbox.data[:fill], self._outbox.names[:fill])
            stop = min(start + end - self._next, _OUT_ROWS)
            before = time.time_ns()
            try:
                taken = self._outbox.send(self.fd, start, stop)
            except OSError as error:
                tries += 1
                if tries <= _RETRIES and self._may_pass(error):
                    continue
                self.tell(self._next % len(self.rows), f"not sent: {error.strerror}")
                taken = 1
            else:
                self._batches.append((self._next, taken, before, time.time_ns(), epoch))
            self._next += taken
            tries = 0

    def _note_times(self) -> None:
        """When the probes left that did since the last call: each a packet's least cost after the one before it.

        The least cost of the whole sweep, and not a share of its own batch's time: a pause in the midst of a batch is
        not to shorten anyone's round trip. It is taken out again where an answer came sooner than that.
        """
        if not self._batches:
            return
        firsts, counts, befores, afters, epochs = np.array(self._batches, np.int64).T
        self._cost_ns = max(min(self._cost_ns, float(((afters - befores) / counts).min())), 0.0)  # the clock may step
        places = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
        sent = np.repeat(firsts, counts) + places
        self.sent_at_ns[sent] = np.repeat(befores, counts)
        self._later_ns[sent] = (places * self._cost_ns).astype(np.int64)
        self._epochs[sent] = np.repeat(epochs, counts)
        self._batches.clear()

    def _may_pass(self, error: OSError) -> bool:
        """Whether to try again: there was no room, or the error was of an earlier packet (IP_RECVERR reports it so)."""
        if isinstance(error, BlockingIOError):
            poll = select.poll()
            poll.register(self.fd, select.POLLOUT)
            poll.poll(_NO_ROOM_MS)
            return True
        return self.hear() or error.errno not in {errno.ENOBUFS, errno.EPERM}

    def hear(self) -> bool:
        """Note the ICMP errors that wait; whether there were any."""
        any_came = False
        for error in network_errors(self.opened.socket):
            any_came = True
            for host in self.requests.quoted(error.quoted, error.host):
                self.tell(host, error.words)
        return any_came

    def tell(self, host: int, words: str) -> None:
        """Keep what is to be said of a host, once."""
        said = self.said.setdefault(host, [])
        if words not in said:
            said.append(words)

    def drain(self, watch: Watch) -> None:
        """Take every answer that waits."""
        for _ in range(64):
            try:
                if not self._inbox.receive(self.fd):
                    return
            except OSError:
                self.hear()
                continue
            if not self._inbox.full:
                return
            self.settle(watch)

    def settle(self, watch: Watch) -> None:
        """Match what was drained; the watch is looked at first, after the last of it was stamped."""
        self._note_times()
        filled = self._inbox.filled
        if not filled:
            return
        epoch, inbox = watch.look(), self._inbox
        probes = self.requests.answered(
            inbox.data[:filled], inbox.lengths[:filled], inbox.names[:filled], ip_header=self._ip_header
        )
        stamps = inbox.stamps_ns()
        ours = np.flatnonzero(probes >= 0)
        found, first = np.unique(probes[ours], return_index=True)
        stamps = stamps[ours[first]]
        rtt_ns = stamps - self.sent_at_ns[found]
        later_ns = self._later_ns[found]
        rtt_ms = np.where(rtt_ns > later_ns, rtt_ns - later_ns, rtt_ns) / 1e6
        rtt_ms[(stamps == 0) | (self._epochs[found] != epoch) | (rtt_ms <= 0)] = np.nan
        counts = ~self.answered[found] & (self.sent_at_ns[found] > 0) & ~(rtt_ms > self._timeout_ms)
        self.answered[found[counts]] = True
        self.rtt_ms[found[counts]] = rtt_ms[counts]
        inbox.clear()

    @property
    def waiting(self) -> bool:
        """Whether any probe that left is unanswered."""
        return bool(((self.sent_at_ns > 0) & ~self.answered).any())

    def finish(self) -> None:
        """Say of every host that misses answers how many were dropped here."""
        self.hear()
        dropped = self.opened.dropped()
        if not dropped:
            return
        missing = ((self.sent_at_ns > 0) & ~self.answered).reshape(-1, len(self.rows)).any(axis=0)
        words = f"{dropped} packets of this sweep were dropped here, the receive buffer was full: lower the rate"
        for host in np.flatnonzero(missing).tolist():
            self.tell(host, words)


def _fly(
    flights: Sequence[_Flight],
    targets: int,
    pacer: Pacer,
    rounds: int,
    interval_s: float,
    timeout_s: float,
    watch: Watch,
) -> None:
    """Send all rounds at the pacer's rate, and receive meanwhile and after."""
    families = np.zeros((len(flights), targets + 1), np.int64)
    for number, flight in enumerate(flights):
        families[number, flight.rows + 1] = 1
    before = families.cumsum(axis=1).tolist()  # how many of the first i endpoints are of the family
    settled = time.monotonic_ns()
    for _ in range(rounds):
        began, at = time.monotonic_ns(), 0
        while at < targets:
            now = time.monotonic_ns()
            count = pacer.take(now, targets - at)
            for flight, ahead in zip(flights, before, strict=True):
                mine = ahead[at + count] - ahead[at]
                if mine:
                    flight.send(mine, watch.epoch)
                flight.drain(watch)
            at += count
            if now - settled > _SETTLE_NS:
                settled = now
                for flight in flights:
                    flight.settle(watch)
                    flight.hear()
            sleep_until(min(pacer.wake_ns(targets - at), now + _LONGEST_SLEEP_NS))
        pacer.hold_until(began + int(interval_s * 1e9))
    _wait(flights, time.monotonic_ns() + int(timeout_s * 1e9), watch)
    watch.look()


def _wait(flights: Sequence[_Flight], until_ns: int, watch: Watch) -> None:
    """Receive until all is answered or the time is over."""
    while True:
        now = time.monotonic_ns()
        for flight in flights:
            flight.drain(watch)
            flight.settle(watch)
        if now >= until_ns or not any(flight.waiting for flight in flights):
            break
        sleep_until(min(now + _TAIL_NS, until_ns))
    for flight in flights:
        flight.finish()


def _sweep(
    endpoints: Sequence[Endpoint],
    probes: int,
    flights: Sequence[_Flight],
    errors: dict[int, list[str]],
    watch: Watch,
) -> Sweep:
    shape = (len(endpoints), probes)
    sent_at_ns: NDArray[np.int64] = np.zeros(shape, np.int64)
    rtt_ms: NDArray[np.float64] = np.full(shape, np.nan)
    answered: NDArray[np.bool_] = np.zeros(shape, np.bool_)
    for flight in flights:
        sent_at_ns[flight.rows] = flight.sent_at_ns.reshape(probes, -1).T
        rtt_ms[flight.rows] = flight.rtt_ms.reshape(probes, -1).T
        answered[flight.rows] = flight.answered.reshape(probes, -1).T
        errors |= {int(flight.rows[host]): said for host, said in flight.said.items()}
    return Sweep(
        method="icmp",
        endpoints=tuple(endpoints),
        started_ns=watch.first.realtime_ns,
        sent_at_ns=sent_at_ns,
        rtt_ms=rtt_ms,
        answered=answered,
        clock_ok=watch.steady,
        errors={row: "; ".join(said) for row, said in sorted(errors.items())},
    )


def _check(probes: int, timeout_s: float, interval_s: float, payload_bytes: int) -> None:
    wrong = []
    if probes < 1:
        wrong.append(f"probes = {probes}: at least 1 is sent")
    if not 0 < timeout_s < float("inf"):
        wrong.append(f"timeout_s = {timeout_s}: must be above 0 and finite")
    if not 0 <= interval_s < float("inf"):
        wrong.append(f"interval_s = {interval_s}: must not be negative, and finite")
    if not LEAST_PAYLOAD_BYTES <= payload_bytes <= LARGEST_PAYLOAD_BYTES:
        wrong.append(f"payload_bytes = {payload_bytes}: {LEAST_PAYLOAD_BYTES} to {LARGEST_PAYLOAD_BYTES}")
    if wrong:
        raise ValueError("; ".join(wrong))
