"""The STAMP Session-Reflector (RFC 8762 section 4.3): answers each sound request with as many octets as it had.

A batch of datagrams is read, judged, answered and counted as arrays. The time of receipt is the kernel's, the time of
sending is read for every few replies just before they leave, so that what this program takes is not in the round trip.
"""

import socket
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from probes.reflector.counts import STAMP_DROPS, Counts
from probes.reflector.limits import Limiter, Rates, prefixes_of
from probes.wire import stamp_packet, stamp_tlv
from probes.wire.batch import Inbox, Outbox
from probes.wire.received import CONTROL_BYTES, PKTINFO_BYTES, ask_for_details, details, sent_from, widen

BATCH: Final = 256
STAMPED_TOGETHER: Final = 16
"""Replies that share one time of sending: the last of them leaves some 20 µs after it."""
_CLOCK_EVERY_NS: Final = 10_000_000_000
QUEUE_BYTES: Final = 8 << 20
log = structlog.get_logger()

_REASON: Final = {name: n for n, name in enumerate(STAMP_DROPS, start=1)}


@dataclass(frozen=True, slots=True)
class Settings:
    """How to answer. stateful: number the replies of each session. largest: octets of the longest request answered.

    lowest_port: requests from ports below are not answered, nor those from the port of the reflector itself.
    """

    rates: Rates = field(default_factory=Rates)
    stateful: bool = False
    largest: int = 1472
    lowest_port: int = 1024
    sessions: int = 65_536


def open_socket(address: str, port: int) -> socket.socket:
    """A bound UDP socket that tells when, where and with which TTL each datagram came; OSError where it cannot be."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
        ask_for_details(sock)
        widen(sock, receive=QUEUE_BYTES, send=QUEUE_BYTES)
        sock.bind(socket.getaddrinfo(address, port, family, socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0][4])
    except OSError:
        sock.close()
        raise
    return sock


class StampServer:
    """One socket's reflector. `serve` answers what waits; nothing that a datagram can hold makes it raise."""

    def __init__(
        self, sock: socket.socket, settings: Settings, limiter: Limiter, counts: Counts, keys: Sequence[bytes] = ()
    ) -> None:
        self.sock = sock
        self.keys = tuple(keys)
        self._settings, self._limiter, self._counts = settings, limiter, counts
        self._family = 6 if sock.family == socket.AF_INET6 else 4
        self._port = sock.getsockname()[1]
        self._inbox = Inbox(BATCH, settings.largest, CONTROL_BYTES)
        self._outbox = Outbox(BATCH, settings.largest, sock.family, PKTINFO_BYTES[self._family])
        self._sent: OrderedDict[bytes, int] = OrderedDict()
        self._clock_error, self._clock_read_ns = stamp_packet.clock_error(), time.monotonic_ns()

    def serve(self) -> int:
        """Answer one batch of what waits, at most 256; how many datagrams that were."""
        try:
            self._inbox.receive(self.sock.fileno())
        except OSError:
            return 0  # an ICMP error that the network sent for one of the replies
        rows = self._inbox.filled
        if rows:
            try:
                why = self._answer(rows)
            except Exception:  # a service to strangers outlives its own faults: these are counted, and told
                log.exception("stamp.failed", datagrams=rows)
                why = np.full(rows, _REASON["failed"], np.uint8)
            self._tally(why, rows)
            self._inbox.clear()
        return rows

    def _tally(self, why: NDArray[np.uint8], rows: int) -> None:
        self._counts.add("stamp_received_packets", rows)
        self._counts.add("stamp_received_bytes", int(self._inbox.lengths[:rows].sum()))
        for reason, number in _REASON.items():
            dropped = int((why == number).sum())
            if dropped:
                self._counts.add(f"stamp_dropped_{reason}", dropped)
        self._counts.set("stamp_sources", self._limiter.sources)

    def _answer(self, rows: int) -> NDArray[np.uint8]:
        """Why each datagram went without an answer; 0 for the answered ones."""
        why = self._refused(rows)
        keys: list[bytes | None] = []
        open_rows = np.flatnonzero(why == 0)
        if self.keys and len(open_rows):
            keys = stamp_packet.sealed_by(self._inbox.data[open_rows], self.keys)
            why[open_rows[[key is None for key in keys]]] = _REASON["forged"]
            keys = [key for key in keys if key is not None]
            open_rows = np.flatnonzero(why == 0)
        if not len(open_rows):
            return why
        prefixes = prefixes_of(self._inbox.names[open_rows], self._family)
        admitted = self._limiter.admit(self._family, prefixes, time.monotonic_ns(), proven=bool(self.keys))
        why[open_rows[~admitted]] = _REASON["limited"]
        chosen = open_rows[admitted]
        if len(chosen):
            mine = [key for key, yes in zip(keys, admitted.tolist(), strict=True) if yes and key] if keys else None
            self._prepare(chosen, mine)
            unsent = self._send(chosen, mine)
            why[chosen[unsent]] = _REASON["unsendable"]
        return why

    def _refused(self, rows: int) -> NDArray[np.uint8]:
        inbox = self._inbox
        self._details = details(inbox, self._family)
        ports = np.ascontiguousarray(inbox.names[:rows, 2:4]).view(">u2")[:, 0]
        why = np.zeros(rows, np.uint8)
        why[~self._details.unicast] = _REASON["not_unicast"]
        why[(ports < self._settings.lowest_port) | (ports == self._port)] = _REASON["loop"]
        why[inbox.lengths[:rows] < stamp_packet.base_bytes(self.keys or None)] = _REASON["short"]
        why[(inbox.flags[:rows] & socket.MSG_TRUNC) != 0] = _REASON["oversized"]
        return why

    def _prepare(self, chosen: NDArray[np.int64], keys: Sequence[bytes] | None) -> None:
        """Lay the replies into the outbox, all but their time of sending and HMAC."""
        count = len(chosen)
        asked, out = self._inbox.data[chosen], self._outbox
        lengths = self._inbox.lengths[chosen]
        numbers = self._numbers(asked, chosen, keys is not None) if self._settings.stateful else None
        base = stamp_packet.reflect(
            asked,
            received_ns=self._details.received_ns[chosen],
            ttl=self._details.ttl[chosen],
            error=self._clock_now(),
            seq=numbers,
            authenticated=keys is not None,
        )
        size = base.shape[1]
        out.data[:count] = asked
        out.data[:count, :size] = base
        out.lengths[:count] = lengths
        out.names[:count] = self._inbox.names[chosen]
        out.control[:count] = sent_from(self._details.asked[chosen], self._family)
        for row in np.flatnonzero(lengths > size).tolist():
            end = int(lengths[row])
            if asked[row, size:end].any():
                trailer = stamp_tlv.reflected(
                    asked[row, size:end].tobytes(),
                    asked[row, :4].tobytes(),
                    base[row, :4].tobytes(),
                    keys[row] if keys else None,
                )
                out.data[row, size:end] = np.frombuffer(trailer, np.uint8)

    def _send(self, chosen: NDArray[np.int64], keys: Sequence[bytes] | None) -> NDArray[np.bool_]:
        """(n,) True where the kernel would not take a reply."""
        count, out = len(chosen), self._outbox
        unsent = np.zeros(count, np.bool_)
        for start in range(0, count, STAMPED_TOGETHER):
            stop = min(start + STAMPED_TOGETHER, count)
            now_ns = time.time_ns()
            stamp_packet.stamp_times(out.data[start:stop], now_ns, keys[start:stop] if keys else None)
            while start < stop:
                try:
                    start += max(out.send(self.sock.fileno(), start, stop), 1)  # noqa: PLW2901
                except OSError:
                    unsent[start] = True  # no route, no room: as if the network had lost it
                    start += 1  # noqa: PLW2901
        left = ~unsent
        self._counts.add("stamp_sent_packets", int(left.sum()))
        self._counts.add("stamp_sent_bytes", int(out.lengths[:count][left].sum()))
        return unsent

    def _numbers(self, asked: NDArray[np.uint8], chosen: NDArray[np.int64], authenticated: bool) -> NDArray[np.uint32]:
        """The count of replies in each one's session (RFC 8762 section 4.3.1); silent sessions are forgotten first."""
        fields = asked[:, : stamp_packet.base_bytes(authenticated or None)].view(
            stamp_packet.AUTHENTICATED_REQUEST if authenticated else stamp_packet.OPEN_REQUEST
        )[:, 0]
        found = []
        for row, ssid in zip(chosen.tolist(), fields["ssid"].tolist(), strict=True):
            session = self._inbox.names[row].tobytes() + self._details.asked[row].tobytes() + ssid.to_bytes(2, "big")
            number = self._sent.pop(session, 0)
            self._sent[session] = (number + 1) & 0xFFFFFFFF
            found.append(number)
        while len(self._sent) > self._settings.sessions:
            self._sent.popitem(last=False)
        return np.array(found, np.uint32)

    def _clock_now(self) -> int:
        now_ns = time.monotonic_ns()
        if now_ns - self._clock_read_ns > _CLOCK_EVERY_NS:
            self._clock_error, self._clock_read_ns = stamp_packet.clock_error(), now_ns
        return self._clock_error
