"""ICMP echo of v4 and v6 as arrays: requests that can be told apart, and the answers matched to them.

A request carries the index of its probe and a random token of that probe alone. An answer counts where both come back
from the address that was asked; ids and sequence numbers wrap and are shared, so they decide nothing.
After the eight bytes of the header (RFC 792, RFC 4443): index (4), token (8), balance (2), zeros.
The balance gives all requests to one host the same checksum, since routers choose among equal paths by it.
"""

import secrets
import socket
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from probes.wire.address import IP_IN_NAME, socket_names
from probes.wire.icmp_socket import ECHO_REPLY, ECHO_REQUEST

HEADER_BYTES: Final = 8
LEAST_PAYLOAD_BYTES: Final = 14
READ_BYTES: Final = 60 + HEADER_BYTES + LEAST_PAYLOAD_BYTES + 2
"""What must be read of an answer: the longest IPv4 header, the echo header, index and token."""
_MARK: Final = slice(8, 20)
_MARK_BYTES: Final = 12
_MARKED_BYTES: Final = 20


@dataclass(frozen=True, eq=False)
class Requests:
    """The probes of one family on one socket: N probes in T hosts' turns, probe j goes to host j mod T.

    `hosts` (T, 28) sockaddrs, `tokens` (N,) uint64, `checksums` (T,) uint16.
    """

    family: socket.AddressFamily
    ident: int
    hosts: NDArray[np.uint8]
    tokens: NDArray[np.uint64]
    checksums: NDArray[np.uint16]

    @staticmethod
    def to(family: socket.AddressFamily, ident: int, addresses: Sequence[str], rounds: int) -> "Requests":
        """Fresh tokens for `rounds` probes of every address."""
        hosts = socket_names(family, addresses)
        count = len(addresses) * rounds
        tokens = np.frombuffer(secrets.token_bytes(8 * count), np.uint64)
        # below 0xFFFF: the kernel writes zero for that one
        checksums = np.array([zlib.crc32(address.encode()) % 0xFFFF for address in addresses], np.uint16)
        return Requests(family, ident, hosts, tokens, checksums)

    def write(self, first: int, into: NDArray[np.uint8], names: NDArray[np.uint8]) -> None:
        """Write probes first, first+1, ... as ICMP messages (rows, 8 + payload) and as sockaddrs (rows, 28)."""
        probes = np.arange(first, first + len(into))
        hosts = probes % len(self.hosts)
        names[:] = self.hosts[hosts]
        words = np.zeros((len(into), -(-into.shape[1] // 2)), ">u2")
        words[:, 0] = ECHO_REQUEST[self.family] << 8
        words[:, 1] = self.checksums[hosts]
        words[:, 2] = self.ident
        words[:, 3] = probes & 0xFFFF
        words[:, 4] = probes >> 16
        words[:, 5] = probes & 0xFFFF
        words[:, 6:10] = np.ascontiguousarray(self.tokens[probes]).view(">u2").reshape(-1, 4)
        words[:, 10] = ~folded(words[:, :10].sum(axis=1, dtype=np.uint64)).astype(np.uint16)
        into[:] = words.view(np.uint8)[:, : into.shape[1]]

    def answered(
        self, data: NDArray[np.uint8], lengths: NDArray[np.uint32], names: NDArray[np.uint8], *, ip_header: bool
    ) -> NDArray[np.int64]:
        """(n,) which probe each received message answers, -1 for anything else; whatever the bytes are.

        `data` (n, ≥ 28), `lengths` (n,) valid bytes of each, `names` (n, 28) the senders; `ip_header` where the
        messages begin with one, as on a raw IPv4 socket.
        """
        body, whole = _behind_ip(data, lengths) if ip_header else (data[:, :_MARKED_BYTES], lengths >= _MARKED_BYTES)
        whole = whole & (body[:, 0] == ECHO_REPLY[self.family]) & (body[:, 1] == 0)
        probes = self._marked(body[:, _MARK], whole)
        address = IP_IN_NAME[self.family]
        ours = (names[:, address] == self.hosts[probes % len(self.hosts), address]).all(axis=1)
        return np.where(ours, probes, -1)

    def left(self, data: NDArray[np.uint8], lengths: NDArray[np.uint32], payload_bytes: int) -> NDArray[np.int64]:
        """(n,) which probe each packet is that the kernel gives back as sent, headers first; -1 for anything else."""
        begins = lengths.astype(np.int64) - payload_bytes
        whole = (begins >= 0) & (lengths <= data.shape[1])
        columns = np.where(whole, begins, 0)[:, None] + np.arange(_MARK_BYTES)
        return self._marked(np.take_along_axis(data, columns, axis=1), whole)

    def _marked(self, marks: NDArray[np.uint8], whole: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The probes of marks (n, 12), -1 where it is not whole, or where index and token do not belong together."""
        probes = np.ascontiguousarray(marks[:, :4]).view(">u4")[:, 0].astype(np.int64)
        tokens = np.ascontiguousarray(marks[:, 4:]).view(np.uint64)[:, 0]
        ours = whole & (probes < len(self.tokens))
        ours &= self.tokens[np.where(ours, probes, 0)] == tokens
        return np.where(ours, probes, -1)

    def quoted(self, message: bytes, host: str) -> list[int]:
        """The hosts (by row) that an ICMP error is about: it quotes our request, or as much as routers must (8 bytes).

        `host` is the address that the request was sent to, as the kernel read it from the quoted IP header.
        """
        message = message[40:] if message[:1] and message[0] >> 4 == 6 else message  # a raw IPv6 socket quotes IP too
        if len(message) < HEADER_BYTES or message[0] != ECHO_REQUEST[self.family]:
            return []
        if int.from_bytes(message[4:6], "big") != self.ident:
            return []
        address = IP_IN_NAME[self.family]
        wanted = socket_names(self.family, [host])[0, address]
        rows = np.flatnonzero((self.hosts[:, address] == wanted).all(axis=1)).tolist()
        if len(message) < _MARKED_BYTES:
            return rows
        probe = int.from_bytes(message[8:12], "big")
        if probe >= len(self.tokens) or self.tokens[probe].tobytes() != message[12:20]:
            return []
        return [row for row in rows if row == probe % len(self.hosts)]


def folded(sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Sums of 16-bit words in ones' complement (RFC 1071)."""
    for _ in range(3):
        sums = (sums & np.uint64(0xFFFF)) + (sums >> np.uint64(16))
    return sums


def _behind_ip(data: NDArray[np.uint8], lengths: NDArray[np.uint32]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The first 20 bytes behind each row's IPv4 header, and whether they are all there."""
    header = (data[:, 0] & 15).astype(np.int64) * 4
    ends = header + _MARKED_BYTES
    whole = (data[:, 0] >> 4 == 4) & (header >= 20) & (ends <= np.minimum(lengths, data.shape[1]))
    if (header == 20).all() and data.shape[1] >= 20 + _MARKED_BYTES:
        return data[:, 20 : 20 + _MARKED_BYTES], whole
    columns = np.minimum(header[:, None] + np.arange(_MARKED_BYTES), data.shape[1] - 1)
    return np.take_along_axis(data, columns, axis=1), whole
