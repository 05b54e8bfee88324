"""Many datagrams in one system call, on both ends of a socket: sendmmsg and recvmmsg over preallocated arrays.

The arrays are made once and written by numpy and by the kernel; no Python object is made for a datagram. 64-bit Linux.
"""

import ctypes
import errno
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NAME_BYTES: Final = 28
"""A sockaddr_in6; a sockaddr_in takes the first 16."""
NAME_LENGTH: Final = {socket.AF_INET: 16, socket.AF_INET6: 28}
SO_TIMESTAMPNS: Final = 35
SO_TIMESTAMPING: Final = 37
STAMP_BYTES: Final = 32
"""What one kernel timestamp takes in the control data: a header of 16 bytes and a timespec."""
TIMESTAMPING_BYTES: Final = 64
"""What SO_TIMESTAMPING's take: a header and three timespecs, of which the first is the kernel's."""
_STAMPS: Final = {(SO_TIMESTAMPNS, STAMP_BYTES), (SO_TIMESTAMPING, TIMESTAMPING_BYTES)}
_CONTROL_HEADER: Final = 16

_IOVEC: Final = np.dtype([("base", "u8"), ("length", "u8")])
# struct mmsghdr: a struct msghdr of 56 bytes, and the length that the kernel writes
_MMSGHDR: Final = np.dtype(
    {
        "names": ["name", "name_length", "iov", "iov_length", "control", "control_length", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
_STAMP: Final = np.dtype([("length", "u8"), ("level", "i4"), ("type", "i4"), ("seconds", "i8"), ("nanoseconds", "i8")])

_libc = ctypes.CDLL(None, use_errno=True)
_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


class Outbox:
    """Datagrams to send: write `data` (rows, size) and `names` (rows, 28; sockaddr of the family), then `send`.

    `lengths` (rows) is how much of each row leaves, all of it unless written. `family` None is for a connected socket.
    `control` (rows, control_size) is the control data that goes with each, whole; none where control_size is 0.
    """

    def __init__(self, rows: int, size: int, family: int | None, control_size: int = 0) -> None:
        self.data: NDArray[np.uint8] = np.zeros((rows, size), np.uint8)
        self.names: NDArray[np.uint8] = np.zeros((rows, NAME_BYTES), np.uint8)
        self.control: NDArray[np.uint8] = np.zeros((rows, control_size), np.uint8)
        self._iov = _iovec(self.data)
        self._headers = _headers(self._iov)
        if family is not None:
            self._headers["name"] = _row_addresses(self.names)
            self._headers["name_length"] = NAME_LENGTH[socket.AddressFamily(family)]
        if control_size:
            self._headers["control"] = _row_addresses(self.control)
            self._headers["control_length"] = control_size
        self._first = self._headers.ctypes.data

    @property
    def lengths(self) -> NDArray[np.uint64]:
        """How many bytes of each row leave."""
        return self._iov["length"]

    def send(self, fd: int, start: int, stop: int) -> int:
        """Send rows start..stop in their order; how many the kernel took, which ends before a row that it refuses.

        Raises OSError where the first row is refused, BlockingIOError where there is no room.
        """
        taken = int(_sendmmsg(fd, self._first + start * _MMSGHDR.itemsize, stop - start, socket.MSG_DONTWAIT))
        if taken < 0:
            raise _error()
        return taken


class Inbox:
    """Datagrams received: `receive` appends rows to those that are `filled`, `clear` makes room again.

    `data` (rows, size), `lengths` (rows) bytes written to each row, `names` (rows, 28) sockaddr of the senders,
    `flags` (rows; MSG_TRUNC, MSG_CTRUNC), `control` (rows, control_size). Only the first `filled` rows mean anything.
    """

    def __init__(self, rows: int, size: int, control_size: int = 64) -> None:
        self.filled = 0
        self.data: NDArray[np.uint8] = np.zeros((rows, size), np.uint8)
        self.names: NDArray[np.uint8] = np.zeros((rows, NAME_BYTES), np.uint8)
        # rows start at multiples of eight, as the headers in them want
        self.control: NDArray[np.uint8] = np.zeros((rows, max(-(-control_size // 8) * 8, STAMP_BYTES)), np.uint8)
        self._iov = _iovec(self.data)
        self._headers = _headers(self._iov)
        self._headers["name"] = _row_addresses(self.names)
        self._headers["control"] = _row_addresses(self.control)
        self._first = self._headers.ctypes.data
        self._rearm(rows)

    @property
    def lengths(self) -> NDArray[np.uint32]:
        """How many bytes stand in each row; a datagram longer than the row is cut and flagged MSG_TRUNC."""
        return self._headers["length"]

    @property
    def flags(self) -> NDArray[np.int32]:
        """MSG_TRUNC, MSG_CTRUNC ... of each row."""
        return self._headers["flags"]

    @property
    def control_lengths(self) -> NDArray[np.uint64]:
        """How many bytes of control data stand in each row."""
        return self._headers["control_length"]

    @property
    def full(self) -> bool:
        """Whether no row is left."""
        return self.filled == len(self.data)

    def receive(self, fd: int, flags: int = socket.MSG_DONTWAIT) -> int:
        """Take what waits, as far as there are rows; how many came, 0 where nothing waits.

        Raises OSError where the socket has an error of its own (an ICMP error, with IP_RECVERR).
        """
        offset = self._first + self.filled * _MMSGHDR.itemsize
        came = int(_recvmmsg(fd, offset, len(self.data) - self.filled, flags, None))
        if came < 0:
            error = _error()
            if error.errno in {errno.EAGAIN, errno.EINTR}:
                return 0
            raise error
        self.filled += came
        return came

    def clear(self) -> None:
        """Forget the rows; the kernel wrote over the lengths that it is given."""
        self._rearm(self.filled)
        self.filled = 0

    def stamps_ns(self) -> NDArray[np.int64]:
        """(filled,) when the kernel got each datagram, nanoseconds since 1970 UTC; 0 where it did not say."""
        return stamps_ns(self.control[: self.filled], self.control_lengths[: self.filled])

    def _rearm(self, rows: int) -> None:
        headers = self._headers[:rows]
        headers["name_length"] = NAME_BYTES
        headers["control_length"] = self.control.shape[1]


def stamps_ns(control: NDArray[np.uint8], lengths: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.int64]:
    """(n,) kernel timestamps of control data (n, size ≥ 32), nanoseconds since 1970 UTC; 0 where there is none.

    Those of SO_TIMESTAMPNS and the software's of SO_TIMESTAMPING. The kernel writes them first, and all rows are read
    at once; others are searched one by one.
    """
    first = np.ascontiguousarray(control[:, :STAMP_BYTES]).view(_STAMP)[:, 0]
    plain = (first["type"] == SO_TIMESTAMPNS) & (first["length"] == STAMP_BYTES)
    plain |= (first["type"] == SO_TIMESTAMPING) & (first["length"] == TIMESTAMPING_BYTES)
    plain &= (first["level"] == socket.SOL_SOCKET) & (lengths >= first["length"]) & _sound(first)
    found = np.where(plain, first["seconds"] * 1_000_000_000 + first["nanoseconds"], 0)
    for row in np.flatnonzero(~plain & (lengths > STAMP_BYTES)).tolist():
        found[row] = _searched(control[row, : int(lengths[row])].tobytes())
    return found


def control_messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(level, type, data) of every whole control message; what is cut or makes no sense ends it."""
    at = 0
    while at + _CONTROL_HEADER <= len(data):
        length = int.from_bytes(data[at : at + 8], sys.byteorder)
        if not _CONTROL_HEADER <= length <= len(data) - at:
            return
        level, kind = (int.from_bytes(data[at + i : at + i + 4], sys.byteorder, signed=True) for i in (8, 12))
        yield level, kind, data[at + _CONTROL_HEADER : at + length]
        at += -(-length // 8) * 8


def _searched(data: bytes) -> int:
    for level, kind, value in control_messages(data):
        size = _CONTROL_HEADER + len(value)
        if level == socket.SOL_SOCKET and (kind, size) in _STAMPS:
            stamp = np.frombuffer(bytes(_CONTROL_HEADER) + value[:16], _STAMP)[0]
            if _sound(stamp):
                return int(stamp["seconds"]) * 1_000_000_000 + int(stamp["nanoseconds"])
    return 0


def _sound(stamp: Any) -> Any:
    """Whether seconds and nanoseconds are such that their sum fits (the year 2262)."""
    return (
        (stamp["seconds"] > 0)
        & (stamp["seconds"] < 2**33)
        & (stamp["nanoseconds"] >= 0)
        & (stamp["nanoseconds"] < 1_000_000_000)
    )


def _iovec(data: NDArray[np.uint8]) -> NDArray[Any]:
    iov = np.zeros(len(data), _IOVEC)
    iov["base"] = _row_addresses(data)
    iov["length"] = data.shape[1]
    return iov


def _headers(iov: NDArray[Any]) -> NDArray[Any]:
    headers = np.zeros(len(iov), _MMSGHDR)
    headers["iov"] = _row_addresses(iov[:, None])
    headers["iov_length"] = 1
    return headers


def _row_addresses(array: NDArray[Any]) -> NDArray[np.uint64]:
    """Where in memory each row starts."""
    return np.uint64(array.ctypes.data) + np.arange(len(array), dtype=np.uint64) * np.uint64(array.strides[0])


def _error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
