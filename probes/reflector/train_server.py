"""The far end of packet trains: times what arrives, and sends trains to whoever has proven to be where they go.

A control connection over TCP, a JSON object a line, names a session; trains are UDP and bear the session's random name.
No one can have a train sent to a third party: the address that a train goes to must have returned a random cookie that
was sent to that address alone. What a source may ask for is limited in bytes, trains run one at a time, and with keys
configured a connection must first show that it has one.
"""

import hmac
import ipaddress
import json
import selectors
import socket
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import structlog

from probes.reflector.counts import Counts
from probes.reflector.limits import Bucket
from probes.wire.batch import Inbox, Outbox
from probes.wire.received import CONTROL_BYTES, PKTINFO_BYTES, details, sent_from
from probes.wire.train_packet import (
    CAR,
    CHALLENGE,
    HELLO,
    HELLO_BYTES,
    LEAST_BYTES,
    MOST_PACKETS,
    cars,
    depart,
    greeting,
    headers,
    proof,
    token,
)
from probes.wire.watch import Watch

VERSION: Final = 1
LARGEST_CAR: Final = 1472
QUIET_NS: Final = 500_000_000
"""A train is over when nothing of it came for so long; packets of a path of 30 kbit/s stand closer."""
_LONGEST_WAIT_NS: Final = 10_000_000_000
_LEASE_NS: Final = 3_000_000_000
_DEPART_S: Final = 3.0
_LINE_BYTES: Final = 1024
_CHALLENGES: Final = 16

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TrainLimits:
    """What a source (a /24 or /64) and all together may have sent or received, and how many may be connected."""

    bytes_per_source_hour: int = 200_000_000
    bytes_in_all_hour: int = 2_000_000_000
    connections: int = 64
    connections_per_source: int = 8
    idle_s: float = 15.0
    sources: int = 16_384


@dataclass(eq=False, slots=True)
class _Session:
    """One control connection: what was read and not understood yet, what is to be written, and its train."""

    sock: socket.socket
    source: str
    nonce: bytes
    seen_ns: int
    name: bytes = field(default_factory=token)
    known: bool = False
    inward: bytearray = field(default_factory=bytearray)
    outward: bytearray = field(default_factory=bytearray)
    closing: bool = False
    challenges: int = 0
    cookie: bytes | None = None
    place: tuple[int, bytes, bytes] | None = None
    """Where hellos came from: index of the UDP socket, sockaddr, address of ours that was asked."""
    train: int = -1
    expected: int = 0
    arrivals: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    arrived: int = 0
    last_ns: int = 0
    report_since_ns: int | None = None
    watch: Watch = field(default_factory=Watch)


class _RefusalError(Exception):
    """What a connection asked for and does not get; `reason` is of `TRAIN_REFUSALS`."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class TrainServer:
    """Listening sockets (TCP) and train sockets (UDP, of `stamp_server.open_socket`); `step` does what is due."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        udp: Sequence[socket.socket],
        limits: TrainLimits,
        counts: Counts,
        keys: Sequence[bytes] = (),
    ) -> None:
        self.keys = tuple(keys)
        self._limits, self._counts, self._udp = limits, counts, tuple(udp)
        self._sessions: dict[int, _Session] = {}
        self._names: dict[bytes, _Session] = {}
        self._budgets: OrderedDict[str, Bucket] = OrderedDict()
        self._total = _hourly(limits.bytes_in_all_hour)
        self._lease: tuple[_Session, int] | None = None
        self._inbox = Inbox(512, LARGEST_CAR, CONTROL_BYTES)
        self._outboxes = [self._outbox(sock) for sock in udp]
        self.selector = selectors.DefaultSelector()
        for listener in listeners:
            listener.setblocking(False)
            self.selector.register(listener, selectors.EVENT_READ, ("listen", listener))
        for place, sock in enumerate(udp):
            self.selector.register(sock, selectors.EVENT_READ, ("udp", place))

    @staticmethod
    def _outbox(sock: socket.socket) -> Outbox:
        box = Outbox(MOST_PACKETS, LARGEST_CAR, sock.family, PKTINFO_BYTES[_family(sock)])
        box.data[:] = np.random.default_rng().integers(0, 256, box.data.shape, np.uint8)  # a link may compress
        return box

    def step(self, timeout_s: float) -> list[Any]:
        """Wait for something to do, at most so long, and do it; the registered things of others that are ready."""
        waiting = any(s.report_since_ns is not None for s in self._sessions.values())
        foreign = []
        for key, events in self.selector.select(min(timeout_s, 0.02) if waiting else timeout_s):
            match key.data:
                case ("listen", listener):
                    self._accept(listener)
                case ("udp", place):
                    self._read_udp(place)
                case _Session() as session:
                    self._serve_safely(session, events)
                case other:
                    foreign.append(other)
        self._overdue()
        return foreign

    def close(self) -> None:
        """End all connections."""
        for session in list(self._sessions.values()):
            self._end(session)
        self.selector.close()

    # connections

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, address = listener.accept()
        except OSError:
            return  # gone again, or no descriptor left: the next one may have more luck
        source = source_of(address[0])
        same = sum(session.source == source for session in self._sessions.values())
        if len(self._sessions) >= self._limits.connections or same >= self._limits.connections_per_source:
            self._counts.add("train_refused_busy")
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = _Session(sock, source, token(), time.monotonic_ns())
        self._sessions[sock.fileno()] = session
        self._names[session.name] = session
        self.selector.register(sock, selectors.EVENT_READ, session)
        self._counts.add("train_sessions")
        greeted = {"nearserve": "train", "version": VERSION, "nonce": session.nonce.hex(), "locked": bool(self.keys)}
        self._say(session, greeted | {"packets": MOST_PACKETS, "size": LARGEST_CAR})

    def _serve_safely(self, session: _Session, events: int) -> None:
        try:
            self._serve(session, events)
        except Exception:  # a service to strangers outlives its own faults: these end one connection, and are told
            log.exception("train.failed", source=session.source)
            self._end(session)

    def _serve(self, session: _Session, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush(session)
        if events & selectors.EVENT_READ and session.sock.fileno() >= 0:
            self._read(session)

    def _read(self, session: _Session) -> None:
        try:
            data = session.sock.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end(session)
            return
        session.seen_ns = time.monotonic_ns()
        session.inward += data
        while not session.closing and b"\n" in session.inward:
            line, _, rest = session.inward.partition(b"\n")
            session.inward = rest
            self._obey(session, bytes(line))
        if len(session.inward) > _LINE_BYTES and not session.closing:
            self._refuse(session, _RefusalError("malformed", f"a line of more than {_LINE_BYTES} octets"))

    def _obey(self, session: _Session, line: bytes) -> None:
        try:
            command = _parsed(line)
            if not session.known:
                self._introduce(session, command)
            else:
                self._command(session, command)
        except _RefusalError as refusal:
            self._refuse(session, refusal)

    def _refuse(self, session: _Session, refusal: _RefusalError) -> None:
        self._counts.add(f"train_refused_{refusal.reason}")
        log.info("train.refused", source=session.source, reason=refusal.reason, message=str(refusal))
        self._say(session, {"refused": refusal.reason, "why": str(refusal)})
        session.closing = refusal.reason != "busy"
        self._flush(session)

    def _say(self, session: _Session, message: dict[str, Any]) -> None:
        session.outward += json.dumps(message, separators=(",", ":")).encode() + b"\n"
        self._flush(session)

    def _flush(self, session: _Session) -> None:
        if session.sock.fileno() < 0:
            return
        try:
            while session.outward:
                del session.outward[: session.sock.send(session.outward)]
        except BlockingIOError:
            self.selector.modify(session.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, session)
            return
        except OSError:
            self._end(session)
            return
        if session.closing:
            self._end(session)
        else:
            self.selector.modify(session.sock, selectors.EVENT_READ, session)

    def _end(self, session: _Session) -> None:
        if session.sock.fileno() < 0:
            return
        self.selector.unregister(session.sock)
        del self._sessions[session.sock.fileno()], self._names[session.name]
        session.sock.close()
        if self._lease and self._lease[0] is session:
            self._lease = None

    def _overdue(self) -> None:
        now_ns = time.monotonic_ns()
        for session in list(self._sessions.values()):
            since = session.report_since_ns
            if since is not None and (
                session.arrived >= session.expected
                or now_ns - max(since, session.last_ns) > QUIET_NS
                or now_ns - since > _LONGEST_WAIT_NS
            ):
                self._report(session)
            elif now_ns - session.seen_ns > self._limits.idle_s * 1e9:
                self._end(session)

    # commands

    def _introduce(self, session: _Session, command: dict[str, Any]) -> None:
        if self.keys and not _authentic(self.keys, session.nonce, command):
            raise _RefusalError("unauthorised", "the key is not one of this reflector's")
        session.known = True
        self._say(session, {"session": session.name.hex()})

    def _command(self, session: _Session, command: dict[str, Any]) -> None:
        match command.get("do"):
            case "up":
                self._admit(session, command)
                session.train, session.expected = command["train"], command["packets"]
                session.arrivals, session.arrived, session.watch = [], 0, Watch()
                self._say(session, {"ready": True})
            case "report" if session.train >= 0:
                session.report_since_ns = time.monotonic_ns()
            case "down":
                if session.cookie is None or session.place is None:
                    raise _RefusalError("unproven", "no hello has come: is UDP blocked on the way here?")
                if not hmac.compare_digest(session.cookie.hex(), str(command.get("cookie", ""))):
                    raise _RefusalError("unproven", "the cookie is not the one that was sent")
                self._admit(session, command)
                self._depart(session, command)
            case _:
                raise _RefusalError("malformed", "do must be up, report (after up) or down")

    def _admit(self, session: _Session, command: dict[str, Any]) -> None:
        """Whether a train may run: well asked, within the budgets, and the only one. Takes its bytes and the lease."""
        bounds = {"train": (0, 2**32 - 1), "packets": (1, MOST_PACKETS), "size": (LEAST_BYTES, LARGEST_CAR)}
        for name, (least, most) in bounds.items():
            value = command.get(name)
            if type(value) is not int or not least <= value <= most:
                raise _RefusalError("malformed", f"{name} must be a whole number from {least} to {most}")
        now_ns = time.monotonic_ns()
        if self._lease and self._lease[0] is not session and self._lease[1] > now_ns:
            raise _RefusalError("busy", "another train is under way; try again")
        budget = self._budgets.pop(session.source, None) or _hourly(self._limits.bytes_per_source_hour)
        self._budgets[session.source] = budget
        while len(self._budgets) > self._limits.sources:
            self._budgets.popitem(last=False)
        wanted = command["packets"] * command["size"]
        for own, whose in ((budget, "this source"), (self._total, "all sources together")):
            own.refill(now_ns)
            if own.tokens < wanted:
                raise _RefusalError("over_budget", f"the hour's bytes of {whose} are used up")
        budget.tokens -= wanted
        self._total.tokens -= wanted
        self._lease = (session, now_ns + _LEASE_NS)

    def _depart(self, session: _Session, command: dict[str, Any]) -> None:
        assert session.place is not None
        place, name, asked = session.place
        packets, size, box = command["packets"], command["size"], self._outboxes[place]
        cars(box, session.name, command["train"], packets)
        box.lengths[:packets] = size
        box.names[:packets] = np.frombuffer(name, np.uint8)
        address = np.frombuffer(asked, np.uint8)[None, :]
        box.control[:packets] = sent_from(address, _family(self._udp[place]))
        try:
            left = depart(self._udp[place], box, packets, _DEPART_S)
        except OSError as error:
            self._say(session, {"sent": 0, "why": str(error.strerror)})
            return
        self._counts.add("train_sent_packets", left.packets)
        self._counts.add("train_sent_bytes", left.packets * size)
        self._say(session, {"sent": left.packets, "span_ns": left.span_ns, "waited": left.waited})

    def _report(self, session: _Session) -> None:
        session.watch.look()
        seq = np.concatenate([np.empty(0, np.int64), *(s for s, _ in session.arrivals)])
        times = np.concatenate([np.empty(0, np.int64), *(t for _, t in session.arrivals)])
        base = int(times.min()) if len(times) else 0
        session.report_since_ns, session.train = None, -1
        session.arrivals = []
        message = {"seq": seq.tolist(), "ns": (times - base).tolist(), "steady": session.watch.steady}
        self._say(session, message)

    # datagrams

    def _read_udp(self, place: int) -> None:
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
        for session in self._sessions.values():
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
                if self._lease and self._lease[0] is session:
                    self._lease = (session, session.last_ns + _LEASE_NS)
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


def source_of(address: str) -> str:
    """The /24 or /64 that an address belongs to."""
    found = ipaddress.ip_address(address)
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 64), strict=False))


def _authentic(keys: Sequence[bytes], nonce: bytes, command: dict[str, Any]) -> bool:
    try:
        theirs = bytes.fromhex(str(command.get("nonce")))
    except ValueError:
        return False
    given = str(command.get("mac")).encode()
    return any(hmac.compare_digest(proof(key, nonce, theirs).encode(), given) for key in keys)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.decode())  # of octets json would guess the encoding, and look for its codec
    except (ValueError, RecursionError) as error:
        raise _RefusalError("malformed", "a line must be one JSON object") from error
    if not isinstance(found, dict):
        raise _RefusalError("malformed", "a line must be one JSON object")
    return found


def _hourly(size: int) -> Bucket:
    return Bucket(size / 3600, float(size), float(size), time.monotonic_ns(), time.monotonic_ns())


def _family(sock: socket.socket) -> int:
    return 6 if sock.family == socket.AF_INET6 else 4
