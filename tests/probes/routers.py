"""Networks to trace: real routers in namespaces of their own, and one that does whatever a test wants of it.

Everything stands in namespaces of a fork of the test, which are gone when it ends; root is not needed.
"""

import ctypes
import ipaddress
import os
import pickle
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

from probes.lab.enter import NEW_NET, system
from probes.lab.namespaces import here, inside, ip, leave

Result = TypeVar("Result")
HOST, TARGET = "10.50.1.1", "10.50.6.2"
HOST6, TARGET6 = "fd50:1::1", "fd50:6::2"
ROUTER_MAC, HOST_MAC = "02:00:00:00:00:02", "02:00:00:00:00:01"
# name: {network: its last digit there}
ROUTERS = {
    "host": {1: 1},
    "r1": {1: 2, 2: 1, 3: 1},
    "r2a": {2: 2, 4: 1},
    "r2b": {3: 2, 5: 1},
    "r3": {4: 2, 5: 2, 6: 1},
    "target": {6: 2},
}


def apart(work: Callable[[], Result]) -> Result:
    """What `work` gives in a fork of this process, in a network namespace of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            leave()
            answer = (True, work())
        except BaseException:  # told by the parent
            answer = (False, traceback.format_exc())
        try:
            with os.fdopen(write, "wb") as out:
                pickle.dump(answer, out)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as back:
        raw = back.read()
    os.waitpid(child, 0)
    done, value = pickle.loads(raw)
    if not done:
        raise AssertionError(value)
    return value  # type: ignore[no-any-return]


@contextmanager
def diamond(ratelimit: bool = False) -> Iterator[dict[str, int]]:
    """host – r1 – (r2a | r2b) – r3 – target, two paths of equal cost by the flow; the caller then stands at the host.

    Gives the descriptors of the namespaces. The way back is by r2a. `ratelimit` leaves Linux's limit of ICMP errors
    as it is on r1.
    """
    hub = here()
    made = {}
    for name in ROUTERS:
        system("unshare", NEW_NET)
        made[name] = here()
        _settings(limited=ratelimit and name == "r1")
        system("setns", hub, NEW_NET)
    for network in range(1, 7):
        first, second = (name for name, networks in ROUTERS.items() if network in networks)
        with inside(made[first]):
            ip([f"link add n{network} type veth peer name n{network} netns /proc/self/fd/{made[second]}"], made[second])
    for name, networks in ROUTERS.items():
        with inside(made[name]):
            ip(["link set lo up"])
            ip(
                [
                    line
                    for network, digit in networks.items()
                    for line in (
                        f"addr add 10.50.{network}.{digit}/24 dev n{network}",
                        f"addr add fd50:{network}::{digit}/64 dev n{network} nodad",
                        f"link set n{network} up",
                    )
                ]
            )
    for name, lines in _routes().items():
        with inside(made[name]):
            ip(lines)
    system("setns", made["host"], NEW_NET)
    yield made


def _settings(limited: bool) -> None:
    for name, value in {
        "ipv4/ip_forward": "1",
        "ipv6/conf/all/forwarding": "1",
        "ipv4/fib_multipath_hash_policy": "1",
        "ipv6/fib_multipath_hash_policy": "1",
        "ipv4/ping_group_range": "0 0",
        "ipv6/conf/default/accept_dad": "0",  # else the routers' own addresses are of no use for a second
        "ipv6/conf/default/dad_transmits": "0",
        "ipv4/conf/all/rp_filter": "0",
        "ipv4/conf/default/rp_filter": "0",
        **({} if limited else {"ipv4/icmp_ratelimit": "0", "ipv6/icmp/ratelimit": "0", "ipv4/icmp_ratemask": "0"}),
    }.items():
        Path(f"/proc/sys/net/{name}").write_text(value)


def _routes() -> dict[str, list[str]]:
    there, back = "10.50.6.0/24", "10.50.1.0/24"
    there6, back6 = "fd50:6::/64", "fd50:1::/64"
    return {
        "host": ["route add default via 10.50.1.2", "route add ::/0 via fd50:1::2"],
        "r1": [
            f"route add {there} nexthop via 10.50.2.2 nexthop via 10.50.3.2",
            f"route add {there6} nexthop via fd50:2::2 nexthop via fd50:3::2",
        ],
        "r2a": [
            f"route add {there} via 10.50.4.2",
            f"route add {there6} via fd50:4::2",
            f"route add {back} via 10.50.2.1",
            f"route add {back6} via fd50:2::1",
        ],
        "r2b": [
            f"route add {there} via 10.50.5.2",
            f"route add {there6} via fd50:5::2",
            f"route add {back} via 10.50.3.1",
            f"route add {back6} via fd50:3::1",
        ],
        "r3": [f"route add {back} via 10.50.4.1", f"route add {back6} via fd50:4::1"],
        "target": ["route add default via 10.50.6.1", "route add ::/0 via fd50:6::1"],
    }


@contextmanager
def oracle(answer: Callable[[IP | IPv6], list[bytes]]) -> Iterator[list[IP | IPv6]]:
    """A gateway that answers each packet with the packets that `answer` gives for it; yields all that came to it."""
    _settings(limited=False)
    ip(
        [
            "link set lo up",
            "link add here type veth peer name there",
            f"link set there address {ROUTER_MAC} arp off addrgenmode none up",
            f"link set here address {HOST_MAC} arp off addrgenmode none up",
            "addr add 10.60.0.1/32 dev here",
            "addr add fd60::1/128 dev here nodad",
            "route add default via 169.254.0.1 dev here onlink src 10.60.0.1",
            "route add ::/0 via fe80::1 dev here onlink src fd60::1",
        ]
    )
    came: list[IP | IPv6] = []
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind(("there", 0x0003))
    back = bytes.fromhex(HOST_MAC.replace(":", "") + ROUTER_MAC.replace(":", ""))

    def serve() -> None:
        while True:
            frame, origin = wire.recvfrom(65_536)
            if origin[2] == 4:  # what this end itself sent
                continue
            packet = IPv6(frame[14:]) if frame[12:14] == b"\x86\xdd" else IP(frame[14:])
            if ipaddress.ip_address(packet.dst).is_multicast:  # the kernel's own: who is there, who routes
                continue
            came.append(packet)
            for reply in answer(packet):
                wire.send(back + frame[12:14] + reply)

    threading.Thread(target=serve, daemon=True).start()
    yield came


def give_up_privileges() -> None:
    """Drops every capability of this process (capset(2)); user 0 is then a user like any other."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset")
