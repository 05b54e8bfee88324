"""What both ends of an NDT7 test do: the messages they exchange, and the loop that sends or counts the load.

After M-Lab's specification, version 0.11 (github.com/m-lab/ndt-server, spec/ndt7-protocol.md). The two tests are the
same but for who sends: in a download the server, in an upload the client. Nothing here is timed by asyncio.
"""

import json
import select
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from probes.wire.tcp_info import TcpInfo
from probes.wire.websocket import CLOSE, PING, PONG, TEXT, Channel, Frame, Load

SUBPROTOCOL: Final = "net.measurementlab.ndt.v7"
PATHS: Final[Mapping[str, str]] = {"down": "/ndt/v7/download", "up": "/ndt/v7/upload"}
TESTS: Final[Mapping[str, str]] = {"down": "download", "up": "upload"}
TICK_S: Final = 0.1  # texts a second: at most ten are allowed
CLOSING_S: Final = 1.0
_NOTSENT_BYTES: Final = (1 << 16, 1 << 22)
_NOTSENT_S: Final = 0.02
"""What may wait unsent in the sender's kernel (TCP_NOTSENT_LOWAT): it tells nothing and texts wait behind it, but where
the sender is not given the processor for as long as it lasts, the path runs dry."""
_GATHER_S: Final = 0.001
_GATHER_BYTES: Final = 1 << 16
"""A receiver that is given less than this at once lets more gather: a wake for every packet costs a sixth of a core at
400 Mbit/s, this a fortieth; and a millisecond is 0.2 % of a window, at both of its ends alike."""
_READS: Final = 64  # at most, before the loop looks at its other work
_WAITING: Final = 4  # answers to pings in line; a flood of pings gets no more
_TCP_NAMES: Final = {
    "busy_us": "BusyTime",
    "bytes_acked": "BytesAcked",
    "bytes_received": "BytesReceived",
    "bytes_sent": "BytesSent",
    "bytes_retrans": "BytesRetrans",
    "min_rtt_us": "MinRTT",
    "rtt_us": "RTT",
    "rtt_var_us": "RTTVar",
    "rwnd_limited_us": "RWndLimited",
    "sndbuf_limited_us": "SndBufLimited",
}


class End(Enum):
    """Why a test ended."""

    TIME = "its time was over"
    BYTES = "its bytes were spent"
    STABLE = "the rate had settled"
    CLOSED = "the other end closed"
    UNEXPECTED = "binary data came from the end that must not send any"


@dataclass(frozen=True, slots=True)
class Report:
    """A measurement message of the other end: microseconds and bytes; None where it does not say.

    `elapsed_us` and `received` are those of AppInfo, or those of TCPInfo (with the overhead of frames and TLS in it)
    where the other end gives no AppInfo.
    """

    elapsed_us: int | None
    received: int | None
    rtt_us: int | None
    min_rtt_us: int | None
    bytes_retrans: int | None


def report(text: bytes) -> Report | None:
    """Of a text message; None where it is not JSON or not an object: such texts are ignored, as the protocol allows."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    app, tcp = _part(value, "AppInfo"), _part(value, "TCPInfo")
    elapsed, received = _whole(app, "ElapsedTime"), _whole(app, "NumBytes")
    if elapsed is None or received is None:
        elapsed, received = _whole(tcp, "ElapsedTime"), _whole(tcp, "BytesReceived")
    return Report(elapsed, received, _whole(tcp, "RTT"), _whole(tcp, "MinRTT"), _whole(tcp, "BytesRetrans"))


def _part(value: dict[str, Any], key: str) -> dict[str, Any]:
    part = value.get(key)
    return part if isinstance(part, dict) else {}


def _whole(part: dict[str, Any], key: str) -> int | None:
    value = part.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else None


def message(
    origin: str, direction: str, elapsed_us: int, size: int, info: TcpInfo, ends: tuple[str, str] | None
) -> bytes:
    """A measurement message; `ends` (client, server) where the server writes it."""
    tcp = {name: value for field, name in _TCP_NAMES.items() if (value := getattr(info, field)) is not None}
    said: dict[str, Any] = {
        "AppInfo": {"ElapsedTime": elapsed_us, "NumBytes": size},
        "Origin": origin,
        "Test": TESTS[direction],
        "TCPInfo": {**tcp, "ElapsedTime": elapsed_us},
    }
    if ends is not None:
        said["ConnectionInfo"] = {"Client": ends[0], "Server": ends[1]}
    return json.dumps(said).encode()


@dataclass
class Exchange:
    """One test on one channel, from either end.

    `load` is given to the end that sends. `until` is time.monotonic() when it ends at the latest, `max_bytes` what it
    may cost. `on_bytes(ns, total)` hears what came in, `on_report` the texts of the other end; one that returns True
    ends the test. `say(elapsed_us, bytes)` writes the text that is sent every TICK_S; None sends none. Of a receiver
    both are those of the last arrival after which nothing waited to be read: a missing segment holds back all that is
    behind it, and a count taken then, or in the midst of what follows when it comes, would tell too little.
    """

    channel: Channel
    load: Load | None
    until: float
    max_bytes: int
    say: Callable[[int, int], bytes] | None = None
    on_bytes: Callable[[int, int], bool] | None = None
    on_report: Callable[[Report], bool] | None = None

    def run(self) -> End:
        """The test, without the closing handshake. Raises OSError and FrameError."""
        self._started = time.monotonic_ns()
        self._arrived = self._started, 0
        self._gathers = False
        self._sent_before = 0
        self._tune()
        self._next_say = time.monotonic() + TICK_S
        poll = select.poll()
        poll.register(self.channel.sock, select.POLLIN)
        while (now := time.monotonic()) < self.until:
            if self.say is not None and now >= self._next_say:
                self._tell(now)
            if self.load is not None and self.channel.idle:
                if self.load.sent >= self.max_bytes:
                    return End.BYTES
                self.channel.put_load(self.load.next())
            events = select.POLLIN | (0 if self.channel.idle else select.POLLOUT)
            poll.modify(self.channel.sock, events)
            if self._gathers:
                self._gathers = False
                time.sleep(_GATHER_S)
            ready = self._wait(poll)
            if ready & select.POLLOUT:
                self.channel.flush()
            if ready & ~select.POLLOUT and (ended := self._receive()) is not None:
                return ended
        return End.TIME

    @property
    def counted(self) -> int:
        """Payload so far, of whichever direction this test has."""
        return self.load.sent if self.load is not None else self.channel.reader.binary_bytes

    def _wait(self, poll: select.poll) -> int:
        if self.channel.waiting():
            return select.POLLIN
        left = min(self.until, self._next_say if self.say is not None else self.until) - time.monotonic()
        found = poll.poll(max(0.0, left) * 1000)
        return found[0][1] if found else 0

    def _tell(self, now: float) -> None:
        self._next_say = now + TICK_S
        self._tune()
        if self.say is None or self.channel.in_line > 1:
            return
        at_ns, size = (time.monotonic_ns(), self.load.sent) if self.load is not None else self._arrived
        self.channel.put(TEXT, self.say(max(0, at_ns - self._started) // 1000, size))

    def _tune(self) -> None:
        """What may wait unsent follows the rate of the last tick."""
        if self.load is None:
            return
        wanted = round((self.load.sent - self._sent_before) / TICK_S * _NOTSENT_S)
        self._sent_before = self.load.sent
        least, most = _NOTSENT_BYTES
        self.channel.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, min(max(wanted, least), most))

    def _receive(self) -> End | None:
        before = self.channel.reader.binary_bytes
        for _ in range(_READS):
            frames = self.channel.receive()
            if frames is None:
                return End.CLOSED
            for frame in frames:
                if (ended := self._take(frame)) is not None:
                    return ended
            if self.channel.drained:
                break
        now, total = time.monotonic_ns(), self.channel.reader.binary_bytes
        if total == before:
            return None
        if self.load is not None:
            return End.UNEXPECTED
        self._arrived = now, total
        self._gathers = total - before < _GATHER_BYTES
        if self.on_bytes is not None and self.on_bytes(now, total):
            return End.STABLE
        return End.BYTES if total >= self.max_bytes else None

    def _take(self, frame: Frame) -> End | None:
        if frame.opcode == CLOSE:
            self.channel.put(CLOSE, frame.payload[:2])
            return End.CLOSED
        if frame.opcode == PING and self.channel.in_line < _WAITING:
            self.channel.put(PONG, frame.payload)
        if frame.opcode == TEXT and self.on_report is not None:
            told = report(frame.payload)
            if told is not None and self.on_report(told):
                return End.STABLE
        return None


def close(channel: Channel, ended: End) -> None:
    """The closing handshake, for at most CLOSING_S; load that still comes in is dropped. Never raises."""
    until = time.monotonic() + CLOSING_S
    if ended is not End.CLOSED:
        code = 1002 if ended is End.UNEXPECTED else 1000
        channel.put(CLOSE, code.to_bytes(2, "big"))
    poll = select.poll()
    try:
        while (left := until - time.monotonic()) > 0:
            done = channel.flush()
            if done and ended is End.CLOSED:
                return
            poll.register(channel.sock, select.POLLIN | (0 if done else select.POLLOUT))
            if not channel.waiting():
                poll.poll(left * 1000)
            frames = channel.receive()
            if frames is None or any(frame.opcode == CLOSE for frame in frames):
                return
    except (OSError, ValueError):
        return
