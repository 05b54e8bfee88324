"""A name server whose owner is the attacker: what a name leads to changes whenever they like (DNS rebinding)."""

import ipaddress
import socket
import struct
import threading
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Final

_IN: Final = 1
_VERSION: Final = {1: 4, 28: 6}


class NameServer:
    """Answers on a bound UDP socket from `answers`, name → addresses of both families; time to live 0."""

    def __init__(self, sock: socket.socket, answers: dict[str, list[str]]) -> None:
        self.answers = answers
        self.asked: Counter[str] = Counter()
        self._sock = sock
        self._sock.settimeout(0.1)
        self._ending = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "NameServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True
        self._thread.join()
        self._sock.close()

    def _work(self) -> None:
        while not self._ending:
            with suppress(TimeoutError):
                query, source = self._sock.recvfrom(4096)
                self._sock.sendto(self._answer(query), source)

    def _answer(self, query: bytes) -> bytes:
        """RFC 1035 section 4: the question back, and an answer for each address of the family that was asked for."""
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12 : at + 5]
        (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
        name = ".".join(labels).lower()
        self.asked[name] += 1
        version = _VERSION.get(kind)
        found = [ip for ip in map(ipaddress.ip_address, self.answers.get(name, ())) if ip.version == version]
        flags = 0x8180 if name in self.answers else 0x8183
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
        rows = [struct.pack("!HHHIH", 0xC00C, kind, _IN, 0, len(ip.packed)) + ip.packed for ip in found]
        return head + question + b"".join(rows)
