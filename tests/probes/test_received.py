"""What the kernel tells of a datagram, by real sockets: in its usual order, and in another."""

import select
import socket
import time

import pytest

from probes.wire.batch import SO_TIMESTAMPNS, Inbox
from probes.wire.received import CONTROL_BYTES, ask_for_details, details

FAMILIES = pytest.mark.parametrize(
    ("family", "kind", "address"), [(4, socket.AF_INET, "127.0.0.1"), (6, socket.AF_INET6, "::1")]
)


def taken(sock: socket.socket, count: int) -> Inbox:
    inbox = Inbox(8, 100, CONTROL_BYTES)
    while inbox.filled < count:
        assert select.select([sock], [], [], 5)[0]
        inbox.receive(sock.fileno())
    return inbox


@FAMILIES
@pytest.mark.parametrize("stamped", [True, False], ids=["usual order", "without a timestamp"])
def test_when_where_and_with_which_ttl(family: int, kind: int, address: str, stamped: bool) -> None:
    with socket.socket(kind, socket.SOCK_DGRAM) as sock, socket.socket(kind, socket.SOCK_DGRAM) as sender:
        ask_for_details(sock)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, int(stamped))
        sock.bind(("0.0.0.0" if family == 4 else "::", 0))
        level, option = (
            (socket.IPPROTO_IP, socket.IP_TTL) if family == 4 else (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
        )
        before_ns = time.time_ns()
        for ttl in (7, 255):
            sender.setsockopt(level, option, ttl)
            sender.sendto(b"x", (address, sock.getsockname()[1]))
        time.sleep(0.01)
        inbox = taken(sock, 2)
        found = details(inbox, family)
    assert found.ttl.tolist() == [7, 255]
    assert [row.tobytes() for row in found.asked] == [socket.inet_pton(kind, address)] * 2
    assert found.unicast.all()
    assert all(before_ns - 10**7 <= stamp <= time.time_ns() + 10**7 for stamp in found.received_ns.tolist())


def test_broadcast_and_multicast_are_no_unicast() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        ask_for_details(sock)
        sock.bind(("0.0.0.0", 0))
        port = sock.getsockname()[1]
        group = socket.inet_aton("224.0.0.251") + socket.inet_aton("127.0.0.1")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for address in ("224.0.0.251", "127.255.255.255", "127.0.0.1"):
                sender.sendto(b"x", (address, port))
        inbox = taken(sock, 3)
    assert details(inbox, 4).unicast.tolist() == [False, False, True]


def test_what_stands_in_a_row_from_before_is_not_believed() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to,
    ):
        ask_for_details(sock)
        sock.bind(("127.0.0.1", 0))
        to.sendto(b"x", sock.getsockname())
        inbox = taken(sock, 1)
        inbox.clear()
        inbox.filled = 1
        inbox.control_lengths[0] = 0  # as where the kernel had no room, or nothing to say
        assert details(inbox, 4).unicast.tolist() == [False]
