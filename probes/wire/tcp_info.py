"""What the kernel knows of a TCP connection: round trips, retransmissions, bytes (Linux's struct tcp_info)."""

import socket
import struct
from dataclasses import dataclass
from typing import Final

SIZE: Final = 232
_NOTHING_US: Final = 0xFFFFFFFF  # what tcpi_min_rtt holds before the first sample


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """The fields that methods use, microseconds and bytes; None where this kernel is too old to tell.

    `rtt_us` and `min_rtt_us` are None before the first sample. `total_retrans` counts segments sent again, the SYN too.
    """

    rtt_us: int | None
    rtt_var_us: int | None
    total_retrans: int
    min_rtt_us: int | None = None
    bytes_acked: int | None = None
    bytes_received: int | None = None
    busy_us: int | None = None
    rwnd_limited_us: int | None = None
    sndbuf_limited_us: int | None = None
    bytes_sent: int | None = None
    bytes_retrans: int | None = None


def tcp_info(sock: socket.socket) -> TcpInfo:
    """Of a connection as it is now; raises OSError where the socket is none."""
    return decode(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, SIZE))


def decode(raw: bytes) -> TcpInfo:
    """Of the kernel's bytes: the struct grows at its end from version to version. ValueError below 104 bytes."""
    if len(raw) < 104:
        raise ValueError(f"struct tcp_info of {len(raw)} bytes: this kernel is too old, Linux 2.6 gave 104")
    rtt, variance = struct.unpack_from("=II", raw, 68)
    least = _field(raw, "=I", 148)
    return TcpInfo(
        rtt_us=rtt or None,
        rtt_var_us=variance if rtt else None,
        total_retrans=struct.unpack_from("=I", raw, 100)[0],
        min_rtt_us=least if least != _NOTHING_US else None,
        bytes_acked=_field(raw, "=Q", 120),
        bytes_received=_field(raw, "=Q", 128),
        busy_us=_field(raw, "=Q", 168),
        rwnd_limited_us=_field(raw, "=Q", 176),
        sndbuf_limited_us=_field(raw, "=Q", 184),
        bytes_sent=_field(raw, "=Q", 200),
        bytes_retrans=_field(raw, "=Q", 208),
    )


def _field(raw: bytes, layout: str, offset: int) -> int | None:
    end = offset + struct.calcsize(layout)
    return int(struct.unpack_from(layout, raw, offset)[0]) if end <= len(raw) else None
