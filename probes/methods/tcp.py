"""TCP connections to many endpoints: the kernel's own round trip of SYN and SYN-ACK, and the RST of a closed port.

What opens gives `tcpi_rtt`, taken where the packets are handled, in microseconds. What is refused leaves no round trip
in the kernel (a RST ends the connection before it is taken), so it is the user's clock from before `connect` to
the return of epoll: it reads more, by the time that it takes to be woken (some 0.02 ms on a quiet machine).
A connection whose SYN was sent again is a lost probe, whatever came of it later.
"""

import errno
import os
import resource
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from probes.methods.endpoint import Endpoint
from probes.methods.figures import wrong_figures
from probes.methods.sweep import Sweep
from probes.wire.address import connect_address, family_of
from probes.wire.error_queue import ask_for_errors, network_errors
from probes.wire.pacing import Rounds, timer_slack
from probes.wire.tcp_info import TcpInfo, decode
from probes.wire.watch import Watch

IN_FLIGHT: Final = 4096
_SPARE_FILES: Final = 64
_LOOK_NS: Final = 100_000_000
_LONGEST_SLEEP_S: Final = 0.05
_INFO_BYTES: Final = 104
_ABORT: Final = struct.pack("ii", 1, 0)  # linger for no time: closing sends RST and leaves nothing behind
_AT_ONCE: Final = 256


def sweep(
    endpoints: Sequence[Endpoint],
    *,
    rate_per_s: float,
    probes: int = 3,
    timeout_s: float = 1.0,
    interval_s: float = 0.2,
    in_flight: int = IN_FLIGHT,
) -> Sweep:
    """Connect `probes` times to every endpoint's port, round by round, and wait `timeout_s` for each answer.

    `interval_s` is the least time between two probes of one endpoint; `in_flight` bounds the connections under way,
    as does the limit of open files. Every connection is closed by RST as soon as it is answered.
    `errors` of the Sweep says by endpoint what was not sent and why, and what ICMP errors came; an ICMP error is no
    answer, "port unreachable" neither: a firewall on the way may have sent it.
    Raises ValueError for endpoints without a port and for figures out of range.
    """
    wrong = [f"{e.name} ({e.address}) has no port" for e in endpoints if not e.port or not 0 < e.port < 1 << 16]
    wrong += wrong_figures(probes, timeout_s, interval_s, rate_per_s)
    if in_flight < 1:
        wrong.append(f"in_flight = {in_flight}: at least 1")
    if wrong:
        raise ValueError("; ".join(wrong))
    watch = Watch()
    with timer_slack(), select.epoll() as poller:
        connections = _Connections(endpoints, probes, timeout_s, min(in_flight, _files_left()), poller, watch)
        try:
            connections.run(Rounds(len(endpoints), probes, rate_per_s, interval_s, time.monotonic_ns()))
        finally:
            connections.close()
    return connections.sweep()


class _Open(NamedTuple):
    socket: socket.socket
    probe: int
    began_ns: int


class _Connections:
    """The connections under way, by file descriptor; probe j goes to endpoint j mod T."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        rounds: int,
        timeout_s: float,
        most: int,
        poller: select.epoll,
        watch: Watch,
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._to = [(family_of(e.address), connect_address(e.address, e.port or 0)) for e in endpoints]
        self._rounds = rounds
        self._timeout_ns = int(timeout_s * 1e9)
        self._most = most
        self._poller = poller
        self._watch = watch
        self._open: dict[int, _Open] = {}
        self._deadlines: deque[tuple[int, int, int]] = deque()
        self._said: dict[int, list[str]] = {}
        count = len(endpoints) * rounds
        self._sent_at_ns: NDArray[np.int64] = np.zeros(count, np.int64)
        self._rtt_ms: NDArray[np.float64] = np.full(count, np.nan)
        self._answered: NDArray[np.bool_] = np.zeros(count, np.bool_)
        self._epochs: NDArray[np.int64] = np.zeros(count, np.int64)
        self._unsettled: list[int] = []
        self._looked_ns = time.monotonic_ns()

    def run(self, turns: Rounds) -> None:
        """Begin all probes in their turns, and wait for what is still open."""
        while not turns.over:
            first = turns.next
            count = turns.take(time.monotonic_ns(), self._most - len(self._open))
            for probe in range(first, first + count):
                if not self._begin(probe):
                    turns.give_back(first + count - probe)
                    break
                self._wait(0)  # a RST is timed when it is seen: it does not wait for the rest of the burst
            self._wait(turns.wake_ns() if len(self._open) < self._most else None)
        while self._open:
            self._wait(None)
        self._look()

    def close(self) -> None:
        """Leave nothing open, whatever happened."""
        for under_way in self._open.values():
            under_way.socket.close()
        self._open.clear()

    def sweep(self) -> Sweep:
        """What came of them."""
        shape = (self._rounds, len(self._endpoints))
        return Sweep(
            method="tcp",
            endpoints=self._endpoints,
            started_ns=self._watch.first.realtime_ns,
            sent_at_ns=self._sent_at_ns.reshape(shape).T,
            rtt_ms=self._rtt_ms.reshape(shape).T,
            answered=self._answered.reshape(shape).T,
            clock_ok=self._watch.steady,
            errors={row: "; ".join(said) for row, said in sorted(self._said.items())},
        )

    def _begin(self, probe: int) -> bool:
        """Send the SYN of a probe; False where no file is left, so that it is tried again when some are closed."""
        family, address = self._to[probe % len(self._to)]
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM} and self._open:
                self._most = len(self._open)
                return False
            self._tell(probe, f"not sent: {error.strerror}")
            return True
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        ask_for_errors(sock)
        self._epochs[probe] = self._watch.epoch
        sent_at_ns, began_ns = time.time_ns(), time.monotonic_ns()
        code = sock.connect_ex(address)
        if code not in {0, errno.EINPROGRESS, errno.ECONNREFUSED}:
            sock.close()
            self._tell(probe, f"not sent: {os.strerror(code)}")
            return True
        self._sent_at_ns[probe] = sent_at_ns
        under_way = _Open(sock, probe, began_ns)
        if code == errno.ECONNREFUSED:
            self._refused(under_way, time.monotonic_ns())
            sock.close()
            return True
        self._open[sock.fileno()] = under_way
        self._deadlines.append((began_ns + self._timeout_ns, sock.fileno(), probe))
        self._poller.register(sock.fileno(), select.EPOLLOUT)
        return True

    def _wait(self, until_ns: int | None) -> None:
        """Take what is answered until then, or until the next deadline; epoll counts in milliseconds."""
        now = time.monotonic_ns()
        ends = [now + int(_LONGEST_SLEEP_S * 1e9)]
        if until_ns is not None:
            ends.append(until_ns)
        if self._deadlines:
            ends.append(self._deadlines[0][0])
        ready = self._poller.poll(max(min(ends) - now, 0) / 1e9, _AT_ONCE)
        now = time.monotonic_ns()
        for fd, _ in ready:
            under_way = self._open.pop(fd)
            self._answer(under_way, now)
            under_way.socket.close()
        if len(ready) < _AT_ONCE:  # or an answer may be among those that were not read yet
            self._give_up(now)
        if now - self._looked_ns > _LOOK_NS:
            self._looked_ns = now
            self._look()

    def _give_up(self, now_ns: int) -> None:
        """Close what had its time, and forget the deadlines of what was answered."""
        while self._deadlines:
            deadline_ns, fd, probe = self._deadlines[0]
            still_open = fd in self._open and self._open[fd].probe == probe
            if still_open and deadline_ns > now_ns:
                return
            self._deadlines.popleft()
            if still_open:
                self._open.pop(fd).socket.close()

    def _answer(self, under_way: _Open, now_ns: int) -> None:
        code = under_way.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == errno.ECONNREFUSED:
            self._refused(under_way, now_ns)
        elif code:
            errors = [error.words for error in network_errors(under_way.socket)]
            self._tell(under_way.probe, errors[0] if errors else os.strerror(code))
        else:
            info = _info(under_way.socket)
            if not info.total_retrans and info.rtt_us is not None:
                self._take(under_way.probe, info.rtt_us / 1e3)

    def _refused(self, under_way: _Open, now_ns: int) -> None:
        errors = [error.words for error in network_errors(under_way.socket)]
        if errors:
            self._tell(under_way.probe, errors[0])
        elif not _info(under_way.socket).total_retrans:
            self._take(under_way.probe, (now_ns - under_way.began_ns) / 1e6)

    def _take(self, probe: int, rtt_ms: float) -> None:
        if rtt_ms * 1e6 <= self._timeout_ns:
            self._answered[probe] = True
            self._rtt_ms[probe] = rtt_ms
            self._unsettled.append(probe)

    def _look(self) -> None:
        """Drop the round trips over which the machine slept or the clock was set."""
        epoch = self._watch.look()
        took = np.array(self._unsettled, np.int64)
        self._rtt_ms[took[self._epochs[took] != epoch]] = np.nan
        self._unsettled.clear()

    def _tell(self, probe: int, words: str) -> None:
        said = self._said.setdefault(probe % len(self._endpoints), [])
        if words not in said:
            said.append(words)


def _info(sock: socket.socket) -> TcpInfo:
    return decode(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES))


def _files_left() -> int:
    """How many more files this process may open, some left for others; at least one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return IN_FLIGHT
    return max(soft - len(os.listdir("/proc/self/fd")) - _SPARE_FILES, 1)  # noqa: PTH208  # names alone are counted
