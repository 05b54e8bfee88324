"""Looking by round trips: icmp, tcp, stamp."""

import importlib
import socket
from collections.abc import Iterator, Sequence
from functools import partial

from probes.methods.sweep import Sweep, records
from probes.once.aim import Aim
from probes.once.look import Asked, Look
from probes.once.rounds import Sweeper, joined, rounds
from probes.record import Record


class Sweeping(Look):
    """Round after round of one probe to every endpoint."""

    def __init__(self, method: str, aims: Sequence[Aim], asked: Asked, sweep: Sweeper) -> None:
        super().__init__(method, aims, asked)
        self._sweep = sweep
        self._sweeps: list[Sweep] = []

    def steps(self) -> Iterator[None]:
        """A step is a round."""
        asked = self.asked
        for sweep in rounds(
            self._sweep, self.endpoints, count=asked.count, interval_s=asked.interval_s, timeout_s=asked.timeout_s
        ):
            self._sweeps.append(sweep)
            for row, tally in enumerate(self.tallies):
                tally.add(sweep, row)
            yield

    def records(self) -> list[list[Record]]:
        """One record of each endpoint, of all rounds; none before the first."""
        if not self._sweeps:
            return [[] for _ in self.aims]
        return [[record] for record in records(joined(self._sweeps), self.asked.source)]


def by_sweeps(method: str, aims: Sequence[Aim], asked: Asked) -> Sweeping:
    """The look by the `sweep` of a method's module."""
    sweep = importlib.import_module(f"probes.methods.{method}").sweep
    if method == "stamp":
        # One port for all rounds, that routers with several ways choose the same one each time.
        sweep = partial(sweep, key=asked.key, source_port=_free_port())
    return Sweeping(method, aims, asked, sweep)


def _free_port() -> int:
    """A UDP port that nobody has right now, of both families where there are both."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("", 0))
        return int(sock.getsockname()[1])
