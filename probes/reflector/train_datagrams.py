"""The datagrams of the train server: trains that come are timed, trains that are asked for leave, hellos get cookies.

A train that the way out has no room for leaves piece by piece, while the server goes on with everything else.
"""

import selectors
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import structlog

from probes.reflector.counts import Counts
from probes.reflector.train_grants import Grants
from probes.reflector.train_session import LARGEST_CAR, Session
from probes.wire.batch import Inbox, Outbox
from probes.wire.received import CONTROL_BYTES, PKTINFO_BYTES, details, sent_from
from probes.wire.train_packet import (
    CAR,
    CHALLENGE,
    HELLO,
    HELLO_BYTES,
    MOST_PACKETS,
    Leaving,
    cars,
    greeting,
    headers,
    token,
)

_DEPART_NS: Final = 3_000_000_000
"""How long a train may wait for room on its way out."""
_CHALLENGES: Final = 16

log = structlog.get_logger()


class _Departing(NamedTuple):
    session: Session
    place: int
    size: int
    leaving: Leaving


class Datagrams:
    """UDP sockets (of `stamp_server.open_socket`). `names` are the sessions, `say` tells one how its train left."""

    def __init__(
        self,
        udp: Sequence[socket.socket],
        counts: Counts,
        selector: selectors.BaseSelector,
        names: Mapping[bytes, Session],
        grants: Grants,
        say: Callable[[Session, dict[str, Any]], None],
    ) -> None:
        self._udp, self._counts, self._selector = tuple(udp), counts, selector
        self._names, self._grants, self._say = names, grants, say
        self._inbox = Inbox(512, LARGEST_CAR, CONTROL_BYTES)
        self._outboxes = [_outbox(sock) for sock in udp]
        self._departing: _Departing | None = None
        for place, sock in enumerate(udp):
            selector.register(sock, selectors.EVENT_READ, ("udp", place))

    def serve(self, place: int, events: int) -> None:
        """Send what there is room for, read a batch of what came; nothing that a datagram can hold makes it raise."""
        try:
            if events & selectors.EVENT_WRITE:
                self._go_on()
            if events & selectors.EVENT_READ:
                self._read(place)
        except Exception:  # a service to strangers outlives its own faults: these are counted, and told
            self._counts.add("train_failed")
            log.exception("train.failed", datagrams=self._inbox.filled)
            self._inbox.clear()
            self.forget(None)

    # trains that leave

    @property
    def departing(self) -> bool:
        """Whether a train is on its way out."""
        return self._departing is not None

    def depart(self, session: Session, command: dict[str, Any]) -> None:
        """Begin a train to where the session's hellos came from; there must be none on its way out."""
        assert session.place is not None and self._departing is None
        place, name, asked = session.place
        packets, size, box = command["packets"], command["size"], self._outboxes[place]
        cars(box, session.name, command["train"], packets)
        box.lengths[:packets] = size
        box.names[:packets] = np.frombuffer(name, np.uint8)
        address = np.frombuffer(asked, np.uint8)[None, :]
        box.control[:packets] = sent_from(address, _family(self._udp[place]))
        self._departing = _Departing(session, place, size, Leaving(self._udp[place], box, packets))
        self._go_on()

    def overdue(self, now_ns: int) -> None:
        """A train that found no room for too long is over."""
        if self._departing and now_ns - self._departing.leaving.start_ns > _DEPART_NS:
            self._departed(self._departing)

    def forget(self, session: Session | None) -> None:
        """No more of the session's train leaves; of anyone's with None."""
        now = self._departing
        if now is not None and session in (None, now.session):
            self._departing = None
            self._tally(now)
            self._selector.modify(self._udp[now.place], selectors.EVENT_READ, ("udp", now.place))

    def _go_on(self) -> None:
        now = self._departing
        if now is None:
            return
        try:
            gone = now.leaving.go_on()
        except OSError as error:
            self.forget(now.session)
            self._say(now.session, {"sent": 0, "why": str(error.strerror)})
            return
        if gone:
            self._departed(now)
            return
        self._grants.extend(now.session, time.monotonic_ns())
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        self._selector.modify(self._udp[now.place], both, ("udp", now.place))

    def _departed(self, now: _Departing) -> None:
        left = now.leaving.departure
        self.forget(now.session)
        self._say(now.session, {"sent": left.packets, "span_ns": left.span_ns, "waited": left.waited})

    def _tally(self, now: _Departing) -> None:
        packets = now.leaving.departure.packets
        self._counts.add("train_sent_packets", packets)
        self._counts.add("train_sent_bytes", packets * now.size)

    # what comes

    def _read(self, place: int) -> None:
        inbox = self._inbox
        try:
            inbox.receive(self._udp[place].fileno())
        except OSError:
            return  # an ICMP error for something that was sent
        rows = inbox.filled
        if not rows:
            return
        self._counts.add("train_received_packets", rows)
        self._counts.add("train_received_bytes", int(inbox.lengths[:rows].sum()))
        head = headers(inbox.data[:rows], inbox.lengths[:rows])
        used = self._keep_cars(head, inbox.stamps_ns())
        for row in np.flatnonzero(head["kind"] == HELLO).tolist():
            used += self._greet(place, row, head["session"][row].tobytes())
        self._counts.add("train_stray_packets", rows - used)
        inbox.clear()

    def _keep_cars(self, head: np.ndarray, stamps_ns: np.ndarray) -> int:
        """Note the arrivals of announced trains; how many there were."""
        kept = 0
        for session in self._names.values():
            if session.train < 0:
                continue
            mine = (head["kind"] == CAR) & (head["train"] == session.train) & (head["seq"] < session.expected)
            mine &= (head["session"] == np.frombuffer(session.name, np.uint8)).all(axis=1)
            count = min(int(mine.sum()), 2 * session.expected - session.arrived)  # copies, but no end of them
            if count > 0:
                rows = np.flatnonzero(mine)[:count]
                session.arrivals.append((head["seq"][rows].astype(np.int64), stamps_ns[rows]))
                session.arrived += count
                session.last_ns = session.seen_ns = time.monotonic_ns()
                self._grants.extend(session, session.last_ns)
                kept += count
        return kept

    def _greet(self, place: int, row: int, name: bytes) -> bool:
        """Answer a hello of a session with a cookie for its address, as long as the hello; whether it was one."""
        session, inbox = self._names.get(name), self._inbox
        if session is None or not session.known or session.challenges >= _CHALLENGES:
            return False
        if int(inbox.lengths[row]) < HELLO_BYTES:
            return False
        sock = self._udp[place]
        asked = details(inbox, _family(sock))
        if not asked.unicast[row]:
            return False
        address, ours = inbox.names[row].tobytes(), asked.asked[row].tobytes()
        if session.place != (place, address, ours) or session.cookie is None:
            session.place, session.cookie = (place, address, ours), token()
        session.challenges += 1
        box = Outbox(1, HELLO_BYTES, sock.family, PKTINFO_BYTES[_family(sock)])
        box.data[0] = np.frombuffer(greeting(CHALLENGE, session.name, session.cookie), np.uint8)
        box.names[0], box.control[:] = inbox.names[row], sent_from(asked.asked[row : row + 1], _family(sock))
        try:
            box.send(sock.fileno(), 0, 1)
        except OSError:
            return True  # lost, as the network may lose it; the client asks again
        self._counts.add("train_sent_packets")
        self._counts.add("train_sent_bytes", HELLO_BYTES)
        return True


def _outbox(sock: socket.socket) -> Outbox:
    box = Outbox(MOST_PACKETS, LARGEST_CAR, sock.family, PKTINFO_BYTES[_family(sock)])
    box.data[:] = np.random.default_rng().integers(0, 256, box.data.shape, np.uint8)  # a link may compress
    return box


def _family(sock: socket.socket) -> int:
    return 6 if sock.family == socket.AF_INET6 else 4
