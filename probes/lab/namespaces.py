"""Namespaces: made in the emulator's process, configured with ip(8), emptied at the end."""

import ipaddress
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from probes.lab.enter import NEW_NET, NEW_USER, system
from probes.lab.network import Host, LabError, Pop
from probes.lab.port import MERGED_BYTES

INNER_MAC, OUTER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
"""Without ARP a frame carries its sender's own address; as every inner end has the same one, no frame is rewritten.
The outer ends have another one, so that the kernel there throws away what only the emulator shall see."""
GATEWAY, GATEWAY6 = "169.254.0.1", "fe80::1"
"""Behind one gateway there is one neighbour entry; without, one a destination, and the table holds 1,024."""
MOST_OWN_ADDRESSES6 = 8_192
"""That many take 0.4 s, and the time grows with the square."""
HINT = (
    "This user may not make namespaces. Run as root, or let users make them: "
    "sysctl user.max_user_namespaces and user.max_net_namespaces must be above 0; "
    "on Debian also kernel.unprivileged_userns_clone=1; on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0; "
    "in a container, its seccomp profile must allow unshare"
)


def leave() -> int:
    """Move this process into a new network namespace, within a new user namespace where it may not otherwise.

    Gives the descriptor of the user namespace, -1 where there was no need of one.
    """
    try:
        system("unshare", NEW_NET)
    except PermissionError:
        pass
    except OSError as error:
        raise LabError(f"{HINT} ({error})") from error
    else:
        return -1
    user, group = os.geteuid(), os.getegid()
    try:
        system("unshare", NEW_USER | NEW_NET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    except OSError as error:
        raise LabError(f"{HINT} ({error})") from error
    return os.open("/proc/self/ns/user", os.O_RDONLY)


def here() -> int:
    """A descriptor of the network namespace that this process is in."""
    return os.open("/proc/self/ns/net", os.O_RDONLY)


@contextmanager
def inside(net_fd: int) -> Iterator[None]:
    """For a while in another network namespace. Only for a process without threads."""
    back = here()
    system("setns", net_fd, NEW_NET)
    try:
        yield
    finally:
        system("setns", back, NEW_NET)
        os.close(back)


def build(inner: Sequence[Host | Sequence[Pop]], root: bool, offload: bool) -> list[int]:
    """A namespace a host and one for all PoPs, each with `eth0`, whose other end `p0`, `p1`... is here."""
    made = []
    for number, _ in enumerate(inner):
        hub = here()
        system("unshare", NEW_NET)
        made.append(here())
        system("setns", hub, NEW_NET)
        os.close(hub)
        # twelve queues would be made on a machine of twelve processors; one keeps the order
        ip(
            [
                f"link add p{number} numrxqueues 1 numtxqueues 1 type veth "
                f"peer name eth0 netns /proc/self/fd/{made[-1]} numrxqueues 1 numtxqueues 1",
                f"link set p{number} address {OUTER_MAC} arp off addrgenmode none up",
            ],
            made[-1],
        )
    for place, net_fd in zip(inner, made, strict=True):
        with inside(net_fd):
            _allow(root)
            merging = f"gso_max_size {MERGED_BYTES}" if offload else "gso_max_segs 1"
            ip(
                [
                    "link set lo up",
                    f"link set eth0 address {INNER_MAC} arp off addrgenmode none {merging} up",
                    *(_host(place) if isinstance(place, Host) else _pops(place)),
                ]
            )
    return made


def _host(host: Host) -> Iterator[str]:
    yield f"addr add {host.address}/32 dev eth0"
    yield f"route add default via {GATEWAY} dev eth0 onlink src {host.address}"
    if host.address6:
        yield f"addr add {host.address6}/128 dev eth0 nodad"
        yield f"route add ::/0 via {GATEWAY6} dev eth0 onlink src {host.address6}"


def _pops(pops: Sequence[Pop]) -> Iterator[str]:
    """AnyIP: the kernel takes every address of these networks for its own, without a list of them.

    For IPv6 it then says no ICMP errors, as it wants a source address for them that is in its list.
    """
    if not pops:
        return
    for network in _networks(pop.address for pop in pops):
        yield f"route add local {network} dev lo"
    yield f"route add default via {GATEWAY} dev eth0 onlink src {pops[0].address}"
    six = [pop.address6 for pop in pops if pop.address6]
    if len(six) <= MOST_OWN_ADDRESSES6:
        yield from (f"addr add {address}/128 dev lo nodad" for address in six)
    else:
        yield from (f"route add local {network} dev lo" for network in _networks(six))
    if six:
        yield f"route add ::/0 via {GATEWAY6} dev eth0 onlink"


def _networks(addresses: Iterable[str]) -> "Iterator[object]":
    return ipaddress.collapse_addresses([ipaddress.ip_network(address) for address in addresses])  # type: ignore[type-var]


def _allow(root: bool) -> None:
    """Datagram ICMP sockets for every group in here; IPv6 as free as IPv4 to bind to AnyIP; no limit on ICMP errors.

    The PoPs are one kernel: with its limits, thousands of them would say one "port unreachable" a second together.
    """
    for name, value in (
        ("ipv4/ping_group_range", "0 2147483647" if root else "0 0"),
        ("ipv6/ip_nonlocal_bind", "1"),
        ("ipv4/icmp_ratelimit", "0"),
        ("ipv6/icmp/ratelimit", "0"),
    ):
        try:
            Path(f"/proc/sys/net/{name}").write_text(value)
        except FileNotFoundError as error:
            raise LabError("the lab wants a kernel with IPv6 switched on, if only to leave it unused") from error
        except OSError as error:
            raise LabError(
                f"the lab's own net.{name.replace('/', '.')} cannot be set ({error.strerror}): in a container, "
                "/proc/sys must be writable (docker run --security-opt systempaths=unconfined)"
            ) from error


def ip(lines: Sequence[str], *fds: int) -> None:
    """Commands for ip(8), all or an error that names the one that failed."""
    try:
        done = subprocess.run(
            ["ip", "-batch", "-"],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            pass_fds=fds,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError("ip is not installed: the lab wants iproute2") from error
    if done.returncode:
        refused = "Operation not permitted" in done.stderr
        raise LabError(f"{HINT} (ip: {done.stderr.strip()})" if refused else f"ip: {done.stderr.strip()}")


def empty(net_fds: Iterable[int], patience_s: float = 5.0) -> int:
    """Kill every process that is in one of these namespaces, and wait till they are gone; gives how many."""
    inodes = {os.fstat(fd).st_ino for fd in net_fds} - {os.stat("/proc/self/ns/net").st_ino}  # noqa: PTH116
    killed, deadline = set(), time.monotonic() + patience_s
    while found := _within(inodes):
        for pid in found:
            killed.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            break
        time.sleep(0.005)
    return len(killed)


def _within(inodes: set[int]) -> list[int]:
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                inode = os.stat(f"/proc/{entry.name}/ns/net").st_ino  # noqa: PTH116
            except OSError:  # gone, a zombie, or another user's
                continue
            if inode in inodes:
                found.append(int(entry.name))
    return found
