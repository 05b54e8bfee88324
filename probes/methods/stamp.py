"""STAMP (RFC 8762) to many reflectors, v4 and v6 mixed: one socket a family, so the flow of each series never changes.

A round trip runs from this machine's clock just before a few requests leave to the kernel's clock at the reply, less
what the reflector says that it took (T3 − T2, both by its own clock). One way delays would need two synchronised
clocks and are not given.
"""

import errno
import secrets
import select
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import numpy as np
from numpy.typing import NDArray

from probes.methods.endpoint import Endpoint
from probes.methods.figures import wrong_figures
from probes.methods.sweep import Part, Sweep, assembled
from probes.wire import stamp_packet
from probes.wire.address import IP_IN_NAME, family_of, socket_names
from probes.wire.batch import SO_TIMESTAMPNS, Inbox, Outbox
from probes.wire.error_queue import ask_for_errors, network_errors
from probes.wire.pacing import LARGEST_BURST, Pacer, sleep_until, timer_slack
from probes.wire.ports import PORTS
from probes.wire.received import widen
from probes.wire.stamping import await_stamps
from probes.wire.watch import Watch

_TOGETHER: Final = 4
"""Requests that share one time of sending: the last of them leaves a few µs after it."""
_ROWS: Final = 1024
_READ_BYTES: Final = 128
_QUEUE_BYTES: Final = 8 << 20
_TAIL_NS: Final = 5_000_000
_LONGEST_SLEEP_NS: Final = 50_000_000
_NO_ROOM_MS: Final = 20
_TRIES: Final = 3
_SETTLE_NS: Final = 50_000_000
_PORT_IN_NAME: Final = slice(2, 4)


def sweep(
    endpoints: Sequence[Endpoint],
    *,
    rate_per_s: float,
    probes: int = 3,
    timeout_s: float = 1.0,
    interval_s: float = 0.2,
    key: bytes | None = None,
    source_port: int = 0,
) -> Sweep:
    """Send `probes` requests to every reflector, round by round, and wait `timeout_s` for each reply.

    An endpoint's port is 862 unless it has one. With a `key` both directions are authenticated (HMAC-SHA-256), and
    what does not bear it is ignored. `source_port` keeps the flow the same from sweep to sweep; 0 is any free one.
    A reply counts once, and only from the address and port that were asked, with the request's SSID, sequence number
    and time as they were sent: all random enough that no one guesses them. A session's numbers start at random, where
    RFC 8762 says zero; its reflectors take any. Replies later than `timeout_s` do not count.
    Raises ValueError for figures out of range, OSError where the source port is taken.
    """
    if wrong := wrong_figures(probes, timeout_s, interval_s, rate_per_s):
        raise ValueError("; ".join(wrong))
    watch = Watch()
    errors: dict[int, str] = {}
    with ExitStack() as stack:
        flights = []
        for family in (socket.AF_INET, socket.AF_INET6):
            rows = [row for row, endpoint in enumerate(endpoints) if family_of(endpoint.address) == family]
            if not rows:
                continue
            chosen = [endpoints[row] for row in rows]
            try:
                flight = _Flight(family, rows, chosen, probes, key, source_port, timeout_s)
            except OSError as error:
                if error.errno != errno.EAFNOSUPPORT:
                    raise
                errors |= dict.fromkeys(rows, f"not sent: {error.strerror}")
                continue
            flights.append(stack.enter_context(flight))
        stack.enter_context(timer_slack())
        _fly(flights, Pacer(rate_per_s, time.monotonic_ns()), probes, interval_s, timeout_s, watch)
    return assembled("stamp", endpoints, probes, (flight.part for flight in flights), errors, watch)


class _Flight:
    """The sessions of one family: T hosts × K probes, flat; probe k of host t is number t·K + k."""

    def __init__(
        self,
        family: socket.AddressFamily,
        rows: Sequence[int],
        endpoints: Sequence[Endpoint],
        probes: int,
        key: bytes | None,
        source_port: int,
        timeout_s: float,
    ) -> None:
        self.rows = np.array(rows, np.int64)
        count = len(rows) * probes
        self.sent_at_ns: NDArray[np.int64] = np.zeros(count, np.int64)
        self.rtt_ms: NDArray[np.float64] = np.full(count, np.nan)
        self.answered: NDArray[np.bool_] = np.zeros(count, np.bool_)
        self.said: dict[int, list[str]] = {}
        self._times: NDArray[np.uint64] = np.zeros(count, np.uint64)
        self._epochs: NDArray[np.int64] = np.full(count, -1)
        self._probes, self._key, self._timeout_ms = probes, key, timeout_s * 1e3
        self._first_seq = secrets.randbits(32)
        self._ssid = 1 + secrets.randbelow(0xFFFF)
        self._error = stamp_packet.clock_error()
        self._names = _names(family, endpoints)
        self._outbox = Outbox(LARGEST_BURST, stamp_packet.base_bytes(key), family)
        self._inbox = Inbox(_ROWS, _READ_BYTES)
        self._address = IP_IN_NAME[family]
        self._sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            widen(self._sock, receive=_QUEUE_BYTES)
            ask_for_errors(self._sock)
            if family == socket.AF_INET6:
                self._sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                self._sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
            else:
                self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
            self._sock.bind(("", source_port))
            await_stamps()
        except BaseException:
            self._sock.close()
            raise

    def __enter__(self) -> "_Flight":
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def send(self, hosts: NDArray[np.int64], number: int, epoch: int) -> None:
        """Let probe `number` of each host leave now, 64 at most; what the kernel refuses is not sent, and told."""
        count, box = len(hosts), self._outbox
        places = hosts * self._probes + number
        self._times[places] = times = self._stamped()
        self._epochs[places] = epoch
        box.data[:count] = stamp_packet.requests(
            (self._first_seq + places).astype(np.uint32), times, ssid=self._ssid, error=self._error, key=self._key
        )
        box.names[:count] = self._names[hosts]
        done, tries = 0, 0
        while done < count:
            now_ns = time.time_ns()
            try:
                taken = box.send(self._sock.fileno(), done, min(done + _TOGETHER, count))
            except OSError as error:
                tries += 1
                if tries <= _TRIES and self._may_pass(error):
                    continue
                self._tell(int(hosts[done]), f"not sent: {error.strerror}")
                taken = 1
            else:
                self.sent_at_ns[places[done : done + taken]] = now_ns
            done, tries = done + taken, 0

    def _may_pass(self, error: OSError) -> bool:
        """Whether to try again: there was no room, or the error was an earlier packet's."""
        if isinstance(error, BlockingIOError):
            poll = select.poll()
            poll.register(self._sock, select.POLLOUT)
            poll.poll(_NO_ROOM_MS)
            return True
        return self.hear()

    def _stamped(self) -> np.uint64:
        """The time for packets, whose lowest 12 bits (a µs) are random: nobody guesses all of what comes back."""
        now = stamp_packet.ntp(np.array([time.time_ns()]))[0]
        return np.uint64((int(now) & ~0xFFF) | secrets.randbits(12))

    def drain(self, watch: Watch) -> None:
        """Take the replies that wait; they are matched later, many at once."""
        while True:
            try:
                came = self._inbox.receive(self._sock.fileno())
            except OSError:
                if not self.hear():
                    return
                continue
            if not came:
                return
            if self._inbox.full:
                self.settle(watch)

    def settle(self, watch: Watch) -> None:
        """Match what was taken; the watch is looked at first, after the last of it was stamped."""
        inbox, filled = self._inbox, self._inbox.filled
        if not filled:
            return
        epoch = watch.look()
        read = stamp_packet.replies(inbox.data[:filled], inbox.lengths[:filled].astype(np.int64), self._key)
        places = (read.sender_seq.astype(np.int64) - self._first_seq) % (1 << 32)
        sound = read.sound & (read.ssid == self._ssid) & (places < len(self.answered))
        places = np.where(sound, places, 0)
        asked = self._names[places // self._probes]
        sound &= (read.sender_time == self._times[places]) & (self.sent_at_ns[places] > 0)
        for part in (self._address, _PORT_IN_NAME):
            sound &= (inbox.names[:filled, part] == asked[:, part]).all(axis=1)
        rows = np.flatnonzero(sound)
        places, first = np.unique(places[rows], return_index=True)
        rows = rows[first]
        stamps_ns = inbox.stamps_ns()[rows]
        whole_ns = stamps_ns - self.sent_at_ns[places]
        held_ns = read.sent_ns[rows] - read.received_ns[rows]
        rtt_ms = (whole_ns - held_ns) / 1e6
        steady = self._epochs[places] == epoch
        # a reflector whose clock was moved, or that takes longer than the packet was away, says nothing of use
        rtt_ms[(stamps_ns == 0) | (held_ns < 0) | (rtt_ms <= 0) | ~steady] = np.nan
        # across a step of this clock nobody knows how late a reply is: it is an answer without a time, and no loss
        counts = ~self.answered[places] & ~(steady & (whole_ns > self._timeout_ms * 1e6))
        self.answered[places[counts]] = True
        self.rtt_ms[places[counts]] = rtt_ms[counts]
        inbox.clear()

    def hear(self) -> bool:
        """Note the ICMP errors that wait; whether there were any."""
        any_came = False
        for error in network_errors(self._sock):
            any_came = True
            if len(error.quoted) < 4:
                continue
            place = (int.from_bytes(error.quoted[:4], "big") - self._first_seq) % (1 << 32)
            if place < len(self.answered):
                self._tell(place // self._probes, error.words)
        return any_came

    def _tell(self, host: int, words: str) -> None:
        said = self.said.setdefault(host, [])
        if words not in said:
            said.append(words)

    @property
    def part(self) -> Part:
        """What it brought."""
        shape = (-1, self._probes)
        sent_at_ns, rtt_ms = self.sent_at_ns.reshape(shape), self.rtt_ms.reshape(shape)
        return Part(self.rows, sent_at_ns, rtt_ms, self.answered.reshape(shape), self.said)

    @property
    def waiting(self) -> bool:
        """Whether any probe that left is unanswered."""
        return bool(((self.sent_at_ns > 0) & ~self.answered).any())


def _fly(
    flights: Sequence[_Flight], pacer: Pacer, probes: int, interval_s: float, timeout_s: float, watch: Watch
) -> None:
    """Send all rounds at the pacer's rate, receive meanwhile, and then until all is answered or the time is over."""
    settled = time.monotonic_ns()
    for number in range(probes):
        began = time.monotonic_ns()
        for flight in flights:
            at, hosts = 0, len(flight.rows)
            while at < hosts:
                now = time.monotonic_ns()
                count = pacer.take(now, hosts - at)
                if count:
                    flight.send(np.arange(at, at + count), number, watch.epoch)
                    at += count
                for other in flights:
                    other.drain(watch)
                    if now - settled > _SETTLE_NS:
                        other.settle(watch)
                settled = now if now - settled > _SETTLE_NS else settled
                sleep_until(min(pacer.wake_ns(hosts - at), now + _LONGEST_SLEEP_NS))
        pacer.hold_until(began + int(interval_s * 1e9))
    until_ns = time.monotonic_ns() + int(timeout_s * 1e9)
    while True:
        now = time.monotonic_ns()
        for flight in flights:
            flight.drain(watch)
            flight.settle(watch)
        if now >= until_ns or not any(flight.waiting for flight in flights):
            break
        sleep_until(min(now + _TAIL_NS, until_ns))
    for flight in flights:
        flight.hear()
    watch.look()


def _names(family: socket.AddressFamily, endpoints: Sequence[Endpoint]) -> NDArray[np.uint8]:
    names = socket_names(family, [endpoint.address for endpoint in endpoints])
    ports = [PORTS["stamp"] if endpoint.port is None else endpoint.port for endpoint in endpoints]
    names[:, _PORT_IN_NAME] = np.array(ports, ">u2").view(np.uint8).reshape(-1, 2)
    return names
