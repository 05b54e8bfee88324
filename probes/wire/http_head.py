"""The head of an HTTP/1.1 message (RFC 9112): start line and fields, read off a socket before a deadline."""

import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LIMIT: Final = 1 << 15
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_STATUS: Final = re.compile(r"HTTP/1\.[01] ([1-5][0-9]{2})(?: .*)?", re.DOTALL)


class NotHttpError(ValueError):
    """What came in is no HTTP/1.x head, or is longer than the limit."""


@dataclass(frozen=True, slots=True)
class Head:
    """A start line, and fields by name in lower case; fields of one name are joined by a comma."""

    start: str
    fields: Mapping[str, str]

    @property
    def status(self) -> int:
        """The status code of a response. Raises NotHttpError where the start line is none of HTTP/1.x."""
        found = _STATUS.fullmatch(self.start)
        if found is None:
            raise NotHttpError(f"the answer begins with {self.start[:40]!r}, not with HTTP/1.1 and a status")
        return int(found[1])

    def has(self, name: str, token: str) -> bool:
        """Whether the comma-separated field holds the token, in whatever case."""
        return token.lower() in (one.strip().lower() for one in self.fields.get(name, "").split(","))


def parse(raw: bytes) -> Head:
    """Of the bytes before the empty line. Raises NotHttpError."""
    lines = raw.split(b"\r\n")
    fields: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            raise NotHttpError(f"{line[:40]!r} is no field of an HTTP head")
        key, text = name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return Head(lines[0].decode("latin-1"), fields)


def read_head(sock: socket.socket, deadline: float, early: bytes = b"", limit: int = LIMIT) -> tuple[Head, bytes]:
    """The head and the bytes that came in behind it; `deadline` by time.monotonic().

    Raises TimeoutError at the deadline, ConnectionError where the other end closes before, NotHttpError, OSError.
    """
    data = bytearray(early)
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) >= limit:
            raise NotHttpError(f"no end of the HTTP head within {limit} bytes")
        if len(data) >= 8 and b"\n" in data and b"HTTP/" not in data[: data.index(b"\n")]:
            raise NotHttpError(f"{bytes(data[:40])!r} is no HTTP head")
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no whole HTTP head in time")
        sock.settimeout(left)
        piece = sock.recv(min(4096, limit + 4 - len(data)))
        if not piece:
            raise ConnectionError(f"closed after {len(data)} bytes of an HTTP head")
        data += piece
    return parse(bytes(data[:end])), bytes(data[end + 4 :])
