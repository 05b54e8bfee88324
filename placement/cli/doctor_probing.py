"""What of probing works on this machine, each by using it; what does not is told with its mend.

A planner needs none of it, so nothing here makes an installation broken.
"""

import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

WANTED_BUFFER_BYTES = 8 << 20


class AbsentError(Exception):
    """Something optional is not there; the message says what is lost by it and how to get it."""


def checks() -> dict[str, Callable[[], str]]:
    """The checks by name: each gives a detail, or raises AbsentError."""
    return {
        "ICMP, no root": _datagram_icmp,
        "ICMP, raw": _raw_icmp,
        "IPv6": _ipv6,
        "kernel time stamps": _time_stamps,
        "receive buffer": _receive_buffer,
        "lab": _lab,
        "iperf3": _iperf3,
    }


def _datagram_icmp() -> str:
    from probes.wire.icmp_socket import NoIcmpSocketError, open_icmp  # noqa: PLC0415

    try:
        open_icmp(socket.AF_INET, ("datagram",)).socket.close()
    except (NoIcmpSocketError, OSError) as error:
        mend = "as root: sysctl -w net.ipv4.ping_group_range='0 2147483647'"
        raise AbsentError(f"ping_group_range is {_ping_group_range()}; {mend}") from error
    return f"ping_group_range is {_ping_group_range()}"


def _ping_group_range() -> str:
    try:
        return " ".join(Path("/proc/sys/net/ipv4/ping_group_range").read_text().split())
    except OSError:
        return "not to be read"


def _raw_icmp() -> str:
    from probes.wire.icmp_socket import NoIcmpSocketError, open_icmp  # noqa: PLC0415

    try:
        open_icmp(socket.AF_INET, ("raw",)).socket.close()
    except (NoIcmpSocketError, OSError) as error:
        mend = "AmbientCapabilities=CAP_NET_RAW in the unit gives it"
        raise AbsentError(f"wanted only where ICMP without root is absent: {mend}") from error
    return "allowed"


def _ipv6() -> str:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError as error:
        raise AbsentError(f"only IPv4 can be measured here ({error.strerror or error})") from error
    return "the kernel has it; whether the network does, probe once -6 TARGET shows"


def _time_stamps() -> str:
    """A datagram to ourselves, with the kernel's time of its arrival."""
    from probes.wire.batch import SO_TIMESTAMPNS  # noqa: PLC0415

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.settimeout(1)
        sock.bind(("127.0.0.1", 0))
        sock.sendto(b"x", sock.getsockname())
        _, control, _, _ = sock.recvmsg(8, 64)
    if not control or struct.unpack("=qq", control[0][2][:16])[0] == 0:
        raise AbsentError("the kernel stamps no datagrams: round trips hold the time that Python takes to wake up")
    return "datagrams are stamped on arrival"


def _receive_buffer() -> str:
    from probes.wire.icmp_socket import RECEIVE_BYTES  # noqa: PLC0415

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        given = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if given < WANTED_BUFFER_BYTES:
        raise AbsentError(f"{given // 1024} KiB: sweeps of thousands may lose answers here; {_MORE}")
    return f"{given / 2**20:.0f} MiB"


_MORE = "as root: sysctl -w net.core.rmem_max=33554432"


def _lab() -> str:
    """A lab of one host."""
    from probes.lab import Host, Lab, LabError  # noqa: PLC0415

    try:
        with Lab([Host("doctor", "10.77.0.1")]) as lab:
            return "namespaces by root's right" if lab.as_root else "in a user namespace, without root"
    except (LabError, OSError) as error:
        raise AbsentError(f"no lab on this machine: {error}") from error


def _iperf3() -> str:
    found = shutil.which("iperf3")
    if found is None:
        raise AbsentError("not installed: only its own method lacks it, NDT7 and trains need nothing")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    return said.partition("\n")[0] or found
