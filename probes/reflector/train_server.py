"""The far end of packet trains: times what arrives, and sends trains to whoever has proven to be where they go.

A control connection over TCP, a JSON object a line, names a session; trains are UDP and bear the session's random name.
No one can have a train sent to a third party: the address that a train goes to must have returned a random cookie that
was sent to that address alone. What a source may ask for is limited in bytes, trains run one at a time, and with keys
configured a connection must first show that it has one.
"""

import hmac
import selectors
import socket
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from probes.reflector.counts import Counts
from probes.reflector.train_connections import Connections
from probes.reflector.train_datagrams import Datagrams
from probes.reflector.train_grants import Grants
from probes.reflector.train_session import LARGEST_CAR, RefusalError, Session, TrainLimits
from probes.wire.train_packet import MOST_PACKETS, proof
from probes.wire.watch import Watch

VERSION: Final = 1
QUIET_NS: Final = 500_000_000
"""A train is over when nothing of it came for so long; packets of a path of 30 kbit/s stand closer."""
_LONGEST_WAIT_NS: Final = 10_000_000_000
_SOON_S: Final = 0.02


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
        self.selector = selectors.DefaultSelector()
        self._idle_ns = limits.idle_s * 1e9
        self._grants = Grants(limits)
        self._connections = Connections(
            listeners, limits, counts, self.selector, greet=self._greeting, obey=self._obey, ended=self._ended
        )
        names, say = self._connections.names, self._connections.say
        self._datagrams = Datagrams(udp, counts, self.selector, names, self._grants, say)

    def step(self, timeout_s: float) -> list[Any]:
        """Wait for something to do, at most so long, and do it; the registered things of others that are ready."""
        sessions = self._connections.names.values()
        waiting = self._datagrams.departing or any(s.report_since_ns is not None for s in sessions)
        foreign = []
        for key, events in self.selector.select(min(timeout_s, _SOON_S) if waiting else timeout_s):
            match key.data:
                case ("listen", listener):
                    self._connections.accept(listener)
                case ("udp", place):
                    self._datagrams.serve(place, events)
                case Session() as session:
                    self._connections.safely(session, partial(self._connections.serve, session, events))
                case other:
                    foreign.append(other)
        self._overdue(time.monotonic_ns())
        return foreign

    def close(self) -> None:
        """End all connections."""
        for session in list(self._connections.names.values()):
            self._connections.end(session)
        self.selector.close()

    def _ended(self, session: Session) -> None:
        self._datagrams.forget(session)
        self._grants.give_back(session)

    def _overdue(self, now_ns: int) -> None:
        self._datagrams.overdue(now_ns)
        for session in list(self._connections.names.values()):
            since = session.report_since_ns
            if since is not None and (
                session.arrived >= session.expected
                or now_ns - max(since, session.last_ns) > QUIET_NS
                or now_ns - since > _LONGEST_WAIT_NS
            ):
                self._connections.safely(session, partial(self._report, session))
            elif now_ns - session.seen_ns > self._idle_ns:
                self._connections.end(session)

    # what is said

    def _greeting(self, session: Session) -> dict[str, Any]:
        greeted = {"nearserve": "train", "version": VERSION, "nonce": session.nonce.hex(), "locked": bool(self.keys)}
        return greeted | {"packets": MOST_PACKETS, "size": LARGEST_CAR}

    def _obey(self, session: Session, command: dict[str, Any]) -> None:
        if not session.known:
            self._introduce(session, command)
            return
        match command.get("do"):
            case "up":
                self._admit(session, command)
                session.train, session.expected = command["train"], command["packets"]
                session.arrivals, session.arrived, session.watch = [], 0, Watch()
                self._connections.say(session, {"ready": True})
            case "report" if session.train >= 0:
                session.report_since_ns = time.monotonic_ns()
            case "down":
                if session.cookie is None or session.place is None:
                    raise RefusalError("unproven", "no hello has come: is UDP blocked on the way here?")
                if not hmac.compare_digest(
                    session.cookie.hex().encode(), str(command.get("cookie", "")).encode(errors="replace")
                ):
                    raise RefusalError("unproven", "the cookie is not the one that was sent")
                self._admit(session, command)
                self._datagrams.depart(session, command)
            case _:
                raise RefusalError("malformed", "do must be up, report (after up) or down")

    def _introduce(self, session: Session, command: dict[str, Any]) -> None:
        if self.keys and not _authentic(self.keys, session.nonce, command):
            raise RefusalError("unauthorised", "the key is not one of this reflector's")
        session.known = True
        self._connections.say(session, {"session": session.name.hex()})

    def _admit(self, session: Session, command: dict[str, Any]) -> None:
        if self._datagrams.departing:  # be it the session's own: one train at a time
            raise RefusalError("busy", "a train is under way; try again")
        self._grants.take(session, command)

    def _report(self, session: Session) -> None:
        session.watch.look()
        seq = np.concatenate([np.empty(0, np.int64), *(s for s, _ in session.arrivals)])
        times = np.concatenate([np.empty(0, np.int64), *(t for _, t in session.arrivals)])
        base = int(times.min()) if len(times) else 0
        session.report_since_ns, session.train = None, -1
        session.arrivals = []
        message = {"seq": seq.tolist(), "ns": (times - base).tolist(), "steady": session.watch.steady}
        self._connections.say(session, message)


def _authentic(keys: Sequence[bytes], nonce: bytes, command: dict[str, Any]) -> bool:
    try:
        theirs = bytes.fromhex(str(command.get("nonce")))
    except ValueError:
        return False
    given = str(command.get("mac")).encode(errors="replace")
    return any(hmac.compare_digest(proof(key, nonce, theirs).encode(), given) for key in keys)
