"""What a control connection of the train server is: its words, its proofs, its train; and why it may be refused."""

import socket
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from probes.wire.train_packet import token
from probes.wire.watch import Watch

LARGEST_CAR: Final = 1472


@dataclass(frozen=True, slots=True)
class TrainLimits:
    """What a source (a /24 or /64) and all together may have sent or received, and how many may be connected."""

    bytes_per_source_hour: int = 200_000_000
    bytes_in_all_hour: int = 2_000_000_000
    connections: int = 64
    connections_per_source: int = 8
    idle_s: float = 15.0
    sources: int = 16_384


@dataclass(eq=False, slots=True)
class Session:
    """One control connection: what was read and not understood yet, what is to be written, and its train."""

    sock: socket.socket
    source: str
    nonce: bytes
    seen_ns: int
    name: bytes = field(default_factory=token)
    known: bool = False
    inward: bytearray = field(default_factory=bytearray)
    outward: bytearray = field(default_factory=bytearray)
    closing: bool = False
    challenges: int = 0
    cookie: bytes | None = None
    place: tuple[int, bytes, bytes] | None = None
    """Where hellos came from: index of the UDP socket, sockaddr, address of ours that was asked."""
    train: int = -1
    expected: int = 0
    arrivals: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    arrived: int = 0
    last_ns: int = 0
    report_since_ns: int | None = None
    watch: Watch = field(default_factory=Watch)


class RefusalError(Exception):
    """What a connection asked for and does not get; `reason` is of `TRAIN_REFUSALS`."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)
