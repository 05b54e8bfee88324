"""The process that carries every packet of a lab: reads, waits, writes. Run as `python -m probes.lab.emulator FD`."""

import os
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any, Final

from probes.lab import control, namespaces
from probes.lab.lane import Answers, Lane
from probes.lab.network import Host, LabError, Link, Network
from probes.lab.port import ETHERNET, HEADER, VNET, Port, ring_bytes
from probes.lab.prompt import be_prompt
from probes.lab.truth import LATENESS_BUCKETS, Path, Truth

CREDIBLE_NS: Final = 1_000_000_000
"""A packet that is stamped further from now came when somebody set the machine's clock."""
BATCH: Final = 64
"""Packets that are read before those that are due are sent."""


class Emulator:
    """Ports, lanes and the heap of packets that wait."""

    def __init__(self, network: Network, ports: Sequence[Port]) -> None:
        self.network = network
        self.ports = ports
        self.places = network.addresses()
        port_of = {place.name: ports[-1] for place in network.pops}
        port_of.update((host.name, port) for host, port in zip(network.hosts, ports, strict=False))
        self.port_of = port_of
        self.down: set[str] = set()
        self.lanes: dict[bytes, Lane] = {}
        self.by_path: dict[tuple[str, str], list[Lane]] = {}
        self.waiting: list[tuple[int, int, Lane | Answers, bytes]] = []
        self.answers = {port: Answers(port.socket.send) for port in ports}
        self.number = 0
        self.lateness_us = [0] * LATENESS_BUCKETS
        self.strayed = 0

    def lane(self, key: bytes) -> Lane | None:
        """The lane of a pair of packed addresses, made at its first packet; None where one of them is nobody's."""
        half = len(key) // 2
        first, second = self.places.get(key[:half]), self.places.get(key[half:])
        if first is None or second is None:
            return None
        seed = f"{self.network.seed} {first} {second} {half}"
        lane = Lane(self._link(first, second), self.port_of[second].socket.send, seed)
        self.lanes[key] = lane
        self.by_path.setdefault((first, second), []).append(lane)
        return lane

    def _link(self, first: str, second: str) -> Link:
        if first in self.down or second in self.down:
            return Link(up=False)
        return self.network.link(first, second)

    def receive(self, port: Port) -> None:
        """Take up to a batch of packets from the ring; those that will arrive wait on the heap."""
        ring, frame_bytes, frames, at = port.ring, port.frame_bytes, port.frames, port.at
        lanes, waiting, unpack = self.lanes, self.waiting, HEADER.unpack_from
        wall = time.time_ns()
        now = time.monotonic_ns()  # after the other: a pause between them makes packets late, and never early
        to_monotonic = now - wall
        earliest, latest = now - CREDIBLE_NS, now + CREDIBLE_NS
        for _ in range(BATCH):
            offset = at * frame_bytes
            status, length, kept, mac, _net, seconds, nanoseconds = unpack(ring, offset)
            if not status & 1:
                break
            begin = offset + mac
            key = ring[begin + 26 : begin + 34] if ring[begin + ETHERNET] >> 4 == 4 else ring[begin + 22 : begin + 54]
            lane = lanes.get(key) or self.lane(key)
            if lane is None or kept < length:
                self.strayed += key[-16] != 0xFF if len(key) == 32 else 1  # not what IPv6 says to all of a link
            else:
                lane.seen += 1
                frame = ring[begin - VNET : begin + kept]
                arrived = seconds * 1_000_000_000 + nanoseconds + to_monotonic
                if not earliest < arrived < latest:
                    arrived = now
                octets = length - ETHERNET
                lane.octets += octets
                due = arrived + lane.delay_ns if lane.clear else lane.due(arrived, _on_the_wire(frame, octets))
                if due and lane.routers:
                    self._route(port, lane, frame, arrived, due)
                elif due:
                    self.number += 1
                    heappush(waiting, (due, self.number, lane, frame))
            ring[offset : offset + 4] = b"\0\0\0\0"
            at = at + 1 if at + 1 < frames else 0
        port.at = at

    def _route(self, port: Port, lane: Lane, frame: bytes, arrived_ns: int, due_ns: int) -> None:
        """Let a packet pass the routers of its way, or send back what the one says where its TTL ended."""
        if lane.routers is None:
            return
        taken, number = lane.routers.take(frame)
        self.number += 1
        if number == 0 and taken:
            heappush(self.waiting, (due_ns, self.number, lane, taken))
            return
        lane.expired += 1
        if taken:
            back_ns = due_ns - lane.delay_ns + 2 * lane.delay_ns * number // (lane.routers.count + 1)
            heappush(self.waiting, (back_ns, self.number, self.answers[port], taken))

    def send(self) -> float | None:
        """Send what is due; gives the seconds until the next is, None where nothing waits."""
        waiting, lateness, last = self.waiting, self.lateness_us, LATENESS_BUCKETS - 1
        for _ in range(BATCH):
            if not waiting:
                return None
            now = time.monotonic_ns()
            late = now - waiting[0][0]
            if late < 0:
                return -late / 1e9
            _, _, lane, frame = heappop(waiting)
            try:
                lane.send(frame)
            except OSError:  # the place took its own interface down, or its kernel is out of memory
                lane.while_down += 1
                continue
            lane.delivered += 1
            lateness[min(late // 1000, last)] += 1
        return 0.0

    def run(self, commands: socket.socket, parent: int) -> None:
        """Until the parent says so or is no more."""
        ports: dict[int, Port] = {port.fileno(): port for port in self.ports}
        watched = [*ports, commands.fileno(), parent]
        while True:
            readable, _, _ = select.select(watched, (), (), self.send())
            for one in readable:
                if one in ports:
                    self.receive(ports[one])
                elif one == parent or not self.obey(commands):
                    return

    def obey(self, commands: socket.socket) -> bool:
        """One command of the parent; False where there will be no more."""
        try:
            name, *arguments = control.receive(commands)
            control.send(commands, getattr(self, f"do_{name}")(*arguments))
        except ConnectionError:
            return False
        return True

    def do_link(self, first: str, second: str, link: Link) -> None:
        """Another link for a pair."""
        self.network.links.pop((second, first), None)
        self.network.links[first, second] = link
        self._renew({first, second})

    def do_down(self, place: str, down: bool) -> None:
        """All links of a place lose everything, or do again what they did."""
        (self.down.add if down else self.down.discard)(place)
        self._renew({place})

    def do_truth(self) -> Truth:
        """All counts."""
        paths = {
            path: Path(*(sum(column) for column in zip(*(lane.counts() for lane in lanes), strict=True)))
            for path, lanes in self.by_path.items()
        }
        missed = sum(port.count_missed() for port in self.ports)
        return Truth(paths, self.lateness_us, missed, self.strayed)

    def _renew(self, places: set[str]) -> None:
        for (first, second), lanes in self.by_path.items():
            if places <= {first, second}:
                for lane in lanes:
                    lane.set(self._link(first, second))


def _on_the_wire(frame: bytes, octets: int) -> int:
    """The size that a merged packet has when it is cut: every piece but the first repeats the headers."""
    _, merged, headers, piece = struct.unpack_from("=BBHH", frame)
    if not merged or not piece:
        return octets
    pieces = -(-(octets + ETHERNET - headers) // piece)
    return octets + int((pieces - 1) * (headers - ETHERNET))


def main(fd: int) -> None:
    """Build what the parent describes, hand it the namespaces, carry packets, and leave nothing behind."""
    parent = os.pidfd_open(os.getppid())
    commands = socket.socket(fileno=os.dup(fd))  # the parent's number may be above what select takes
    os.close(fd)
    network: Network = control.receive(commands)
    places: list[Host | Any] = [*network.hosts, network.pops]
    try:
        user_fd = namespaces.leave()
        net_fds = namespaces.build(places, user_fd < 0, network.offload)
        each = ring_bytes(len(places))
        ports = [Port(f"p{number}", network.offload, each) for number in range(len(places))]
    except (LabError, OSError) as error:
        control.send(commands, str(error) if isinstance(error, LabError) else f"the kernel refused: {error}")
        return
    be_prompt()
    control.send(commands, user_fd >= 0)
    passed = [*net_fds, user_fd] if user_fd >= 0 else net_fds
    socket.send_fds(commands, [b"!"], passed)
    try:
        Emulator(network, ports).run(commands, parent)
    finally:
        namespaces.empty(net_fds)


if __name__ == "__main__":
    main(int(sys.argv[1]))
