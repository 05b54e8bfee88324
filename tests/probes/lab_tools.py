"""What the lab's tests send and receive: plain sockets that stand in the lab's namespaces."""

import select
import socket
import struct
import time
from collections.abc import Sequence

from probes.lab import Lab

RECEIVE_STAMPS = 35  # SO_TIMESTAMPNS


def udp(lab: Lab, place: str, address: str, port: int = 0) -> socket.socket:
    """A UDP socket in a place, bound there; it tells the kernel's time of what it receives."""
    made = lab.open_socket(place, socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, RECEIVE_STAMPS, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    made.bind((address, port))
    return made


def pings(
    lab: Lab, place: str, addresses: Sequence[str], rounds: int = 1, gap_s: float = 0.0, wait_s: float = 1.0
) -> list[list[float | None]]:
    """Round trips in ms of echo requests, by address and round; None where no answer came."""
    six = ":" in addresses[0]
    found: list[list[float | None]] = [[None] * rounds for _ in addresses]
    sent: dict[int, int] = {}
    with lab.open_socket(
        place,
        socket.AF_INET6 if six else socket.AF_INET,
        socket.SOCK_DGRAM,
        socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP,
    ) as probe:
        probe.setsockopt(socket.SOL_SOCKET, RECEIVE_STAMPS, 1)
        for cookie in range(rounds * len(addresses)):
            sent[cookie] = time.time_ns()
            request = struct.pack("!BBHHHI", 128 if six else 8, 0, 0, 0, cookie & 0xFFFF, cookie)
            probe.sendto(request, (addresses[cookie % len(addresses)], 0))
            _collect(probe, found, sent, gap_s if (cookie + 1) % len(addresses) == 0 else 0.0)
        _collect(probe, found, sent, wait_s)
    return found


def _collect(probe: socket.socket, found: list[list[float | None]], sent: dict[int, int], wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while sent:
        left = max(0.0, until - time.monotonic())
        if not select.select([probe], [], [], left)[0]:
            return
        data, ancillary, _, _ = probe.recvmsg(1500, 64)
        cookie = struct.unpack_from("!I", data, 8)[0]
        seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2][:16])
        round_number, number = divmod(cookie, len(found))
        rtt_ns = seconds * 1_000_000_000 + nanoseconds - sent.pop(cookie)
        found[number][round_number] = rtt_ns / 1e6


def catch(server: socket.socket, silence_s: float = 0.3, most: int = 1_000_000) -> list[int]:
    """The kernel's times, in ns, of the datagrams that came until there was silence, or so many."""
    server.settimeout(silence_s)
    times: list[int] = []
    while len(times) < most:
        try:
            _, ancillary, _, _ = server.recvmsg(2048, 64)
        except TimeoutError:
            return times
        seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2][:16])
        times.append(seconds * 1_000_000_000 + nanoseconds)
    return times
