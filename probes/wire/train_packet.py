"""Datagrams of packet trains: the cars themselves, and the two that prove where a train may be sent.

Every datagram begins with 32 octets: magic, kind, session, number of the train, number in the train. A session's name
is 16 random octets that only its two ends know, so no one else's packets are counted.
"""

import hmac
import secrets
import select
import socket
import time
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from probes.wire.batch import Inbox, Outbox

MAGIC: Final = int.from_bytes(b"NsTr", "big")
HELLO, CHALLENGE, CAR = 1, 2, 3
TOKEN_BYTES: Final = 16
HEADER: Final = np.dtype(
    {
        "names": ["magic", "kind", "session", "train", "seq"],
        "formats": [">u4", "u1", ("u1", TOKEN_BYTES), ">u4", ">u4"],
        "offsets": [0, 4, 8, 24, 28],
        "itemsize": 32,
    }
)
HELLO_BYTES: Final = HEADER.itemsize + TOKEN_BYTES
LEAST_BYTES: Final = HELLO_BYTES
MOST_PACKETS: Final = 1_000
IP_UDP_BYTES: Final = {4: 28, 6: 48}


class Arrivals(NamedTuple):
    """Packets of one train as they came: number in the train, and when by the kernel (nanoseconds since 1970 UTC)."""

    seq: NDArray[np.int64]
    time_ns: NDArray[np.int64]


class Departure(NamedTuple):
    """How a train left: how many packets the kernel took, how long that took it, and whether it made us wait.

    Waiting means that the queue towards the network was full, so this end was faster than the network.
    """

    packets: int
    span_ns: int
    waited: bool


def token() -> bytes:
    """A name for a session, or a cookie: 16 random octets."""
    return secrets.token_bytes(TOKEN_BYTES)


def proof(key: bytes, server_nonce: bytes, client_nonce: bytes) -> str:
    """What shows that a client has the key: HMAC-SHA-256 over both ends' random numbers, in hexadecimal."""
    return hmac.digest(key, b"nearserve train" + server_nonce + client_nonce, "sha256").hex()


def greeting(kind: int, session: bytes, cookie: bytes = bytes(TOKEN_BYTES)) -> bytes:
    """A hello (from who wants a train) or a challenge (the answer, as long, with the cookie to return)."""
    head = np.zeros(1, HEADER)
    head["magic"], head["kind"], head["session"] = MAGIC, kind, np.frombuffer(session, np.uint8)
    return head.tobytes() + cookie


def headers(data: NDArray[np.uint8], lengths: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Structured headers (n,) of datagrams (n, ≥ 32); the kind is 0 where the datagram is none of ours."""
    found = data[:, : HEADER.itemsize].view(HEADER)[:, 0].copy()
    found["kind"][(lengths < LEAST_BYTES) | (found["magic"] != MAGIC)] = 0
    return found


def cars(outbox: Outbox, session: bytes, train: int, packets: int) -> None:
    """Write the headers of a train into the first rows of an outbox; what follows them stays as it is."""
    head = outbox.data[:packets, : HEADER.itemsize].view(HEADER)[:, 0]
    head["magic"], head["kind"], head["session"] = MAGIC, CAR, np.frombuffer(session, np.uint8)
    head["train"], head["seq"] = train, np.arange(packets)


class Leaving:
    """A train on its way out, the first rows of an outbox back to back; `go_on` never waits."""

    def __init__(self, sock: socket.socket, outbox: Outbox, packets: int) -> None:
        self._sock, self._outbox, self._packets = sock, outbox, packets
        self._sent, self._waited = 0, False
        self.start_ns = time.monotonic_ns()

    def go_on(self) -> bool:
        """Send as many as there is room for; whether that was all. OSError where the kernel refuses the first."""
        try:
            while self._sent < self._packets:
                self._sent += self._outbox.send(self._sock.fileno(), self._sent, self._packets)
        except BlockingIOError:
            self._waited = True
            return False
        except OSError:
            if not self._sent:
                raise
            return True  # the error of an earlier packet: the train ends here
        return True

    @property
    def departure(self) -> Departure:
        """How it left, up to now."""
        return Departure(self._sent, time.monotonic_ns() - self.start_ns, self._waited)


def depart(sock: socket.socket, outbox: Outbox, packets: int, deadline_s: float) -> Departure:
    """Send the first rows of an outbox back to back; stops at the deadline where the way out is stuck.

    Raises OSError where the kernel refuses the first packet.
    """
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    leaving = Leaving(sock, outbox, packets)
    while not leaving.go_on():
        left_s = deadline_s - (time.monotonic_ns() - leaving.start_ns) / 1e9
        if left_s <= 0 or not poll.poll(left_s * 1e3):
            break
    return leaving.departure


def arrived(inbox: Inbox, session: bytes, train: int) -> Arrivals:
    """The cars of one train among what an inbox holds, in the order of reading."""
    rows = inbox.filled
    head = headers(inbox.data[:rows], inbox.lengths[:rows])
    ours = (
        (head["kind"] == CAR)
        & (head["session"] == np.frombuffer(session, np.uint8)).all(axis=1)
        & (head["train"] == train)
    )
    return Arrivals(head["seq"][ours].astype(np.int64), inbox.stamps_ns()[ours])
