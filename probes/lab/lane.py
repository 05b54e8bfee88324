"""One way from one place to another: what it does to a packet, and what it did."""

import random
from collections.abc import Callable
from typing import Final

from probes.lab.network import Link
from probes.lab.routers import Routers
from probes.lab.truth import Path

NS_PER_MS: Final = 1_000_000


class Answers:
    """What routers send back to a place. Nothing happens to it on its way."""

    __slots__ = ("delivered", "send", "while_down")

    def __init__(self, send: Callable[[bytes], int]) -> None:
        self.send = send
        self.delivered = self.while_down = 0


class Lane:
    """A queue with a rate, then a delay with jitter, and a chance of loss before both.

    The rate is kept in virtual time: a packet leaves when the one before it has left and its own bits have passed,
    whenever the emulator comes round to it; so the rate is exact, and being late once is not being slow.
    """

    __slots__ = (
        "_random", "_seed", "clear", "delay_ns", "delivered", "expired", "free_at", "jitter_ns", "last", "link", "loss",
        "lost", "ns_per_octet", "octets", "overflowed", "queue_ns", "routers", "seen", "send", "while_down",
    )  # fmt: skip

    def __init__(self, link: Link, send: Callable[[bytes], int], seed: str) -> None:
        self.send = send
        self._seed = seed
        self._random: random.Random | None = None
        self.seen = self.delivered = self.lost = self.overflowed = self.while_down = self.expired = self.octets = 0
        self.free_at, self.last = 0.0, 0
        self.set(link)

    def set(self, link: Link) -> None:
        """From now on as this link says; what is on its way is not called back."""
        self.link = link
        self.delay_ns = round(link.rtt_ms / 2 * NS_PER_MS)
        self.jitter_ns = round(link.jitter_ms * NS_PER_MS)
        self.loss = link.loss
        self.ns_per_octet = 8e3 / link.rate_mbps if link.rate_mbps else 0.0
        self.queue_ns = link.queue_bytes * self.ns_per_octet
        self.routers = Routers(link.hops) if link.hops else None
        self.clear = link.up and not (link.loss or link.jitter_ms or link.rate_mbps or link.hops)
        if self._random is None and (link.loss or link.jitter_ms):
            self._random = random.Random(self._seed)

    def due(self, arrived_ns: int, octets: int) -> int:
        """When a packet of this size is there, or 0 where it is not going to be. Only where the lane is not clear."""
        if not self.link.up:
            self.while_down += 1
            return 0
        # drawn for every packet, whatever becomes of it: so the fate of the next does not hang on the queue
        lost = self.loss and self._random.random() < self.loss  # type: ignore[union-attr]
        shaken_ns = round(self._random.random() * self.jitter_ns) if self.jitter_ns else 0  # type: ignore[union-attr]
        if lost:
            self.lost += 1
            return 0
        if self.ns_per_octet:
            begins = max(self.free_at, arrived_ns)
            takes = octets * self.ns_per_octet
            if begins - arrived_ns + takes > self.queue_ns and begins > arrived_ns:
                self.overflowed += 1
                return 0
            self.free_at = begins + takes
            arrived_ns = round(self.free_at)
        self.last = max(self.last, arrived_ns + shaken_ns + self.delay_ns)
        return self.last

    def counts(self) -> Path:
        """What became of the packets so far."""
        return Path(self.seen, self.delivered, self.lost, self.overflowed, self.while_down, self.expired, self.octets)
