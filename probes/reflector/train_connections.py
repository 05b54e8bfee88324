"""The control connections of the train server: TCP, a JSON object a line, none of which can hold up another."""

import ipaddress
import json
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from probes.reflector.counts import Counts
from probes.reflector.train_session import RefusalError, Session, TrainLimits
from probes.wire.train_packet import token

_LINE_BYTES: Final = 1024

log = structlog.get_logger()


class Connections:
    """Those that are open, by the session's name. `greet` is the first line to each, `obey` does what a line says
    (RefusalError where it may not be), `ended` hears of each that is over."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        limits: TrainLimits,
        counts: Counts,
        selector: selectors.BaseSelector,
        *,
        greet: Callable[[Session], dict[str, Any]],
        obey: Callable[[Session, dict[str, Any]], None],
        ended: Callable[[Session], None],
    ) -> None:
        self.names: dict[bytes, Session] = {}
        self._limits, self._counts, self._selector = limits, counts, selector
        self._greet, self._obey, self._ended = greet, obey, ended
        for listener in listeners:
            listener.setblocking(False)
            selector.register(listener, selectors.EVENT_READ, ("listen", listener))

    def accept(self, listener: socket.socket) -> None:
        """Take one in, or turn it away."""
        try:
            sock, address = listener.accept()
        except OSError:
            return  # gone again, or no descriptor left: the next one may have more luck
        source = source_of(address[0])
        same = sum(session.source == source for session in self.names.values())
        if len(self.names) >= self._limits.connections or same >= self._limits.connections_per_source:
            self._counts.add("train_refused_busy")
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = Session(sock, source, token(), time.monotonic_ns())
        self.names[session.name] = session
        self._selector.register(sock, selectors.EVENT_READ, session)
        self._counts.add("train_sessions")
        self.say(session, self._greet(session))

    def serve(self, session: Session, events: int) -> None:
        """Write what waits, read what came."""
        if events & selectors.EVENT_WRITE:
            self._flush(session)
        if events & selectors.EVENT_READ and session.sock.fileno() >= 0:
            self._read(session)

    def safely(self, session: Session, do: Callable[[], None]) -> None:
        """A service to strangers outlives its own faults: these end one connection, and are counted and told."""
        try:
            do()
        except Exception:
            self._counts.add("train_failed")
            log.exception("train.failed", source=session.source)
            self.end(session)

    def say(self, session: Session, message: dict[str, Any]) -> None:
        """A line to a session; nothing where it is over."""
        session.outward += json.dumps(message, separators=(",", ":")).encode() + b"\n"
        self._flush(session)

    def end(self, session: Session) -> None:
        """Close it, once."""
        if session.sock.fileno() < 0:
            return
        self._selector.unregister(session.sock)
        del self.names[session.name]
        session.sock.close()
        self._ended(session)

    def _read(self, session: Session) -> None:
        try:
            data = session.sock.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.end(session)
            return
        session.seen_ns = time.monotonic_ns()
        session.inward += data
        while not session.closing and b"\n" in session.inward:
            line, _, rest = session.inward.partition(b"\n")
            session.inward = rest
            try:
                self._obey(session, _parsed(bytes(line)))
            except RefusalError as refusal:
                self._refuse(session, refusal)
        if len(session.inward) > _LINE_BYTES and not session.closing:
            self._refuse(session, RefusalError("malformed", f"a line of more than {_LINE_BYTES} octets"))

    def _refuse(self, session: Session, refusal: RefusalError) -> None:
        self._counts.add(f"train_refused_{refusal.reason}")
        log.info("train.refused", source=session.source, reason=refusal.reason, message=str(refusal))
        self.say(session, {"refused": refusal.reason, "why": str(refusal)})
        session.closing = refusal.reason != "busy"
        self._flush(session)

    def _flush(self, session: Session) -> None:
        if session.sock.fileno() < 0:
            return
        try:
            while session.outward:
                del session.outward[: session.sock.send(session.outward)]
        except BlockingIOError:
            self._selector.modify(session.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, session)
            return
        except OSError:
            self.end(session)
            return
        if session.closing:
            self.end(session)
        else:
            self._selector.modify(session.sock, selectors.EVENT_READ, session)


def source_of(address: str) -> str:
    """The /24 or /64 that an address belongs to."""
    found = ipaddress.ip_address(address)
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 64), strict=False))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.decode())  # of octets json would guess the encoding, and look for its codec
    except (ValueError, RecursionError) as error:
        raise RefusalError("malformed", "a line must be one JSON object") from error
    if not isinstance(found, dict):
        raise RefusalError("malformed", "a line must be one JSON object")
    return found
