"""Socket addresses of IP literals, zones included, without a resolver; and what they are called."""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from probes.wire.batch import NAME_BYTES

IP_IN_NAME: Final = {socket.AF_INET: slice(4, 8), socket.AF_INET6: slice(8, 24)}
"""Where the address stands in a sockaddr."""


def family_of(address: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6 of an IP literal."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def socket_names(family: socket.AddressFamily, addresses: Sequence[str], port: int = 0) -> NDArray[np.uint8]:
    """(n, 28) sockaddr_in or sockaddr_in6; where a zone is no interface, it is left out and the kernel refuses."""
    bare = [address.partition("%") for address in addresses]
    packed = b"".join(socket.inet_pton(family, address) for address, _, _ in bare)
    names = np.zeros((len(addresses), NAME_BYTES), np.uint8)
    names[:, :2] = np.frombuffer(np.uint16(family).tobytes(), np.uint8)
    names[:, 2:4] = np.frombuffer(port.to_bytes(2, "big"), np.uint8)
    names[:, IP_IN_NAME[family]] = np.frombuffer(packed, np.uint8).reshape(len(addresses), -1)
    for row, (_, _, zone) in enumerate(bare):
        if zone:
            names[row, 24:28] = np.frombuffer(np.uint32(_interface(zone)).tobytes(), np.uint8)
    return names


def connect_address(address: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """What `socket.connect` takes, in the form that it need not look up."""
    bare, _, zone = address.partition("%")
    if family_of(bare) == socket.AF_INET:
        return bare, port
    return bare, port, 0, _interface(zone) if zone else 0


def one_host(address: str) -> str:
    """What counts as one host: an IPv4 address, of IPv6 the /64, which a host may use as it likes.

    What is no address stays as it is.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4 or found.ipv4_mapped:
        return str(found.ipv4_mapped if found.version == 6 else found)
    return str(ipaddress.ip_network((found, 64), strict=False).network_address)


def written(address: str, port: int) -> str:
    """Address and port as people write them: 192.0.2.1:80, [2001:db8::1]:80."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _interface(zone: str) -> int:
    try:
        return int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
    except OSError:
        return 0
