"""A look at several targets as it goes on: what every way of looking gives to the one that shows it."""

import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from probes.methods.endpoint import Endpoint
from probes.once.aim import Aim
from probes.once.rounds import Tally
from probes.record import Record


@dataclass(frozen=True, slots=True)
class Asked:
    """How a person wants it measured. `count` None is without end. `source` is what the records call this machine.

    `key` is that of authenticated STAMP and trains, `token` that of an NDT7 server. `context` is for TLS; by default
    certificates must be of an authority of the system's.
    """

    source: str
    count: int | None
    interval_s: float
    timeout_s: float
    seconds: float
    key: bytes | None = None
    token: str | None = None
    context: ssl.SSLContext | None = None


class Look(ABC):
    """A look by a method at the aims that have an endpoint; `tallies` are in their order, as is all by number."""

    def __init__(self, method: str, aims: Sequence[Aim], asked: Asked) -> None:
        self.method = method
        self.aims = tuple(aim for aim in aims if aim.endpoint is not None)
        self.endpoints: tuple[Endpoint, ...] = tuple(aim.endpoint for aim in self.aims if aim.endpoint is not None)
        self.asked = asked
        self.tallies = [Tally() for _ in self.aims]

    @abstractmethod
    def steps(self) -> Iterator[None]:
        """Measures; yields whenever there is something new to show. May be left at any yield or by an exception."""

    @abstractmethod
    def records(self) -> list[list[Record]]:
        """The native records of each aim so far."""

    def detail(self, number: int) -> dict[str, Any]:
        """What the method tells of an aim besides, as JSON values; nothing unless it tells."""
        del number
        return {}

    @property
    def answered(self) -> bool:
        """Whether anybody answered at all."""
        return any(any(tally.answered) for tally in self.tallies)
