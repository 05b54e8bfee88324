"""WebSocket frames (RFC 6455) for bulk data that nobody reads: binary payloads are counted and dropped, never copied.

Only what NDT7 needs: no extensions, no fragments of our own. `FrameReader` takes bytes and knows no socket; `Channel`
is one connected socket, TLS or plain, that never blocks.
"""

import base64
import hashlib
import os
import socket
import ssl
import struct
from collections import deque
from dataclasses import dataclass
from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
MAX_BINARY: Final = 1 << 24  # bytes a message, NDT7's limit
MAX_TEXT: Final = 1 << 16
_KNOWN: Final = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HEADER_ROOM: Final = 16
LARGEST: Final = 1 << 18  # a load message: beyond, nothing gets faster, and texts would wait behind it
_READ: Final = 1 << 18
_HEADS: Final = 1 << 12  # what is read where a frame's header is due: the payload behind it should not be copied


class FrameError(ValueError):
    """Bytes that RFC 6455 or the limits above do not allow; the connection is to be closed."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A text message or a control frame, unmasked; a close frame's payload is its code and reason."""

    opcode: int
    payload: bytes


def accept_key(key: str) -> str:
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455, section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()).decode("ascii")


def new_key() -> str:
    """A Sec-WebSocket-Key: 16 random bytes."""
    return base64.b64encode(os.urandom(16)).decode("ascii")


def header(opcode: int, length: int, mask: bytes | None = None) -> bytes:
    """The header of a final frame; `mask` of 4 bytes where a client sends it."""
    bit = 0x80 if mask is not None else 0
    if length < 126:
        head = struct.pack("!BB", 0x80 | opcode, bit | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, bit | 126, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, bit | 127, length)
    return head + (mask or b"")


def masked(payload: bytes, mask: bytes) -> bytes:
    """The payload XOR the mask, which undoes itself; for texts and control frames, which are short."""
    if not payload:
        return b""
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")


class FrameReader:
    """Takes bytes as they come in; gives texts and control frames; counts binary payloads and drops them.

    `from_client`: frames of a client must be masked, those of a server must not be (section 5.1).
    `binary_bytes`: payload of binary messages so far. `owed`: what of the current binary frame has not come in yet.
    """

    def __init__(self, from_client: bool) -> None:
        self._from_client = from_client
        self._rest = b""
        self._message: int | None = None  # opcode of the message whose fragments are coming in
        self._size = 0
        self._text = bytearray()
        self.binary_bytes = 0
        self.owed = 0

    def drop(self, size: int) -> None:
        """Says that so many bytes of `owed` came in elsewhere."""
        self.owed -= size
        self.binary_bytes += size

    def feed(self, data: bytes | bytearray | memoryview) -> list[Frame]:
        """What is complete with these bytes, in order. Raises FrameError."""
        found: list[Frame] = []
        at = min(self.owed, len(data))
        self.drop(at)
        if at == len(data):
            return found
        data = self._rest + bytes(data[at:])
        at = 0
        while (taken := self._frame(data, at, found)) is not None:
            at += taken
        self._rest = data[at:]
        return found

    def _frame(self, data: bytes, at: int, found: list[Frame]) -> int | None:
        """Takes one frame from `at`: its length, or None where more bytes are needed."""
        start = self._header(data, at)
        if start is None:
            return None
        size, length, mask = start
        opcode, final = data[at] & 0x0F, bool(data[at] & 0x80)
        kind = self._kind(opcode, final, length)
        have = len(data) - at - size
        if kind == BINARY:
            self._goes_on(kind, length, final)
            self.owed = length
            self.drop(min(length, have))
            return size + min(length, have)
        if have < length:
            return None
        payload = masked(data[at + size : at + size + length], mask) if mask else data[at + size : at + size + length]
        if kind == TEXT:
            self._goes_on(kind, length, final)
            self._text += payload
            if not final:
                return size + length
            payload = bytes(self._text)
            self._text.clear()
        found.append(Frame(kind, payload))
        return size + length

    def _header(self, data: bytes, at: int) -> tuple[int, int, bytes] | None:
        """(bytes of the header, bytes of the payload, mask), or None where the header is not whole."""
        if len(data) - at < 2:
            return None
        first, second = data[at], data[at + 1]
        if first & 0x70:
            raise FrameError("a reserved bit is set, but no extension was agreed")
        if bool(second & 0x80) != self._from_client:
            raise FrameError("a client's frame is not masked" if self._from_client else "a server's frame is masked")
        code = second & 0x7F
        size = 2 + {126: 2, 127: 8}.get(code, 0)
        whole = size + (4 if self._from_client else 0)
        if len(data) - at < whole:
            return None
        length = code if code < 126 else int.from_bytes(data[at + 2 : at + size], "big")
        return whole, length, data[at + size : at + whole]

    def _kind(self, opcode: int, final: bool, length: int) -> int:
        """The opcode of the message that the frame belongs to. Raises FrameError where it may not come here."""
        if opcode not in _KNOWN:
            raise FrameError(f"opcode {opcode} is reserved")
        if opcode >= CLOSE:
            if not final or length > 125:
                raise FrameError("a control frame is fragmented or longer than 125 bytes")
            return opcode
        if (opcode == CONTINUATION) != (self._message is not None):
            raise FrameError("a message begins inside of another, or goes on that never began")
        kind = opcode if self._message is None else self._message
        limit = MAX_BINARY if kind == BINARY else MAX_TEXT
        if self._size + length > limit:
            raise FrameError(f"a message of more than {limit} bytes")
        return kind

    def _goes_on(self, kind: int, length: int, final: bool) -> None:
        """Keeps what the next fragment must know; only once the frame was taken."""
        self._message, self._size = (None, 0) if final else (kind, self._size + length)


class Load:
    """Random bytes to send as binary messages, a buffer made once and sent again and again.

    As the payload is random, a client's need not be masked: whatever the mask, what stands on the wire is random, and
    chosen by nobody, which is all that masking is for (RFC 6455, section 10.3).
    """

    def __init__(self, masks: bool, largest: int = LARGEST) -> None:
        self._masks = masks
        self._buffer = bytearray(_HEADER_ROOM) + os.urandom(largest)
        self._largest = largest
        self.size = 1 << 13
        self.sent = 0

    def next(self) -> memoryview:
        """The next message, framed; its size doubles while it is below 1/16 of what was sent (NDT7's appendix)."""
        if self.size < self._largest and self.size * 16 <= self.sent:
            self.size *= 2
        head = header(BINARY, self.size, os.urandom(4) if self._masks else None)
        start = _HEADER_ROOM - len(head)
        self._buffer[start:_HEADER_ROOM] = head
        self.sent += self.size
        return memoryview(self._buffer)[start : _HEADER_ROOM + self.size]


class Channel:
    """One WebSocket connection after its handshake; `early` are bytes that came in behind it. Nothing here blocks.

    `drained` is True once the last `receive` found nothing left.
    """

    def __init__(self, sock: socket.socket, is_client: bool, early: bytes = b"") -> None:
        sock.setblocking(False)
        self.sock = sock
        self.reader = FrameReader(from_client=not is_client)
        self._is_client = is_client
        self._early = early
        self._out: deque[memoryview] = deque()
        self._buffer = memoryview(bytearray(_READ))
        self._plain = not isinstance(sock, ssl.SSLSocket)
        self.drained = False

    @property
    def in_line(self) -> int:
        """How many frames wait to be sent."""
        return len(self._out)

    @property
    def idle(self) -> bool:
        """Whether all that was put in line has left."""
        return not self._out

    def put(self, opcode: int, payload: bytes = b"") -> None:
        """Puts a text or control frame in line."""
        mask = os.urandom(4) if self._is_client else None
        body = masked(payload, mask) if mask else payload
        self._out.append(memoryview(header(opcode, len(payload), mask) + body))

    def put_load(self, framed: memoryview) -> None:
        """Puts a framed binary message in line; its buffer must stay as it is until the channel is idle."""
        self._out.append(framed)

    def flush(self) -> bool:
        """Sends what the kernel takes; True when nothing is left. Raises OSError where the connection broke."""
        try:
            while self._out:
                sent = self.sock.send(self._out[0])
                if sent == len(self._out[0]):
                    self._out.popleft()
                else:
                    self._out[0] = self._out[0][sent:]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return False
        return True

    def receive(self) -> list[Frame] | None:
        """What came in; None when the other end has closed. Raises FrameError and OSError."""
        self.drained = False
        if self._early:
            early, self._early = self._early, b""
            return self.reader.feed(early)
        try:
            if self._plain and self.reader.owed:
                # The kernel drops the rest of a binary frame: it is never copied to us.
                size = self.sock.recv_into(self._buffer, min(self.reader.owed, _READ), socket.MSG_TRUNC)
                self.reader.drop(size)
                return [] if size else None
            size = self.sock.recv_into(self._buffer, _HEADS if self._plain else _READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.drained = True
            return []
        return self.reader.feed(self._buffer[:size]) if size else None

    def waiting(self) -> bool:
        """Whether bytes wait that no poll of the socket would show: those behind the handshake, or inside of TLS."""
        return bool(self._early) or (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0)
