"""ICMP echo to many endpoints, v4 and v6 mixed: one socket a family, and no packet in Python.

Round trips are from the kernel's time when the request left to its time when the answer came.
"""

import errno
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from probes.methods.endpoint import Endpoint
from probes.methods.figures import wrong_figures
from probes.methods.sweep import Part, Sweep, assembled
from probes.wire.address import family_of
from probes.wire.echo import LEAST_PAYLOAD_BYTES
from probes.wire.echo_exchange import Exchange
from probes.wire.icmp_socket import KINDS, Kind, open_icmp
from probes.wire.pacing import Rounds, sleep_until, timer_slack
from probes.wire.watch import Watch

PAYLOAD_BYTES: Final = 16
"""An Ethernet frame of the least size carries 18 bytes: fewer would not be cheaper."""
LARGEST_PAYLOAD_BYTES: Final = 1400
_COLLECT_NS: Final = 10_000_000
_SETTLE_NS: Final = 100_000_000
_TAIL_NS: Final = 5_000_000


def sweep(
    endpoints: Sequence[Endpoint],
    *,
    rate_per_s: float,
    probes: int = 3,
    timeout_s: float = 1.0,
    interval_s: float = 0.2,
    payload_bytes: int = PAYLOAD_BYTES,
    kinds: tuple[Kind, ...] = KINDS,
) -> Sweep:
    """Send `probes` echo requests to every endpoint, round by round, and wait `timeout_s` for each answer.

    `interval_s` is the least time between two probes of one endpoint. `kinds` are the sockets to try, in their order.
    An answer counts once, and only from the address that was asked, with the probe's own token, in time.
    `errors` of the Sweep says by endpoint what was not sent and why, what ICMP errors came, and how many answers this
    machine itself dropped. Raises ValueError for figures out of range, NoIcmpSocketError where no socket is allowed.
    """
    wrong = wrong_figures(probes, timeout_s, interval_s, rate_per_s)
    if not LEAST_PAYLOAD_BYTES <= payload_bytes <= LARGEST_PAYLOAD_BYTES:
        wrong.append(f"payload_bytes = {payload_bytes}: {LEAST_PAYLOAD_BYTES} to {LARGEST_PAYLOAD_BYTES}")
    if wrong:
        raise ValueError("; ".join(wrong))
    watch = Watch()
    flights: list[_Flight] = []
    errors: dict[int, str] = {}
    with ExitStack() as stack:
        for family in (socket.AF_INET, socket.AF_INET6):
            rows = [row for row, endpoint in enumerate(endpoints) if family_of(endpoint.address) == family]
            if not rows:
                continue
            try:
                opened = open_icmp(family, kinds)
            except OSError as error:
                if error.errno != errno.EAFNOSUPPORT:
                    raise
                errors |= dict.fromkeys(rows, f"not sent: {error.strerror}")
                continue
            stack.enter_context(opened.socket)
            addresses = [endpoints[row].address for row in rows]
            exchange = Exchange(opened, addresses, probes, payload_bytes, timeout_s)
            flights.append(_Flight(np.array(rows, np.int64), exchange))
        stack.enter_context(timer_slack())
        _fly(flights, len(endpoints), rate_per_s, probes, interval_s, watch)
        _wait(flights, time.monotonic_ns() + int(timeout_s * 1e9), watch)
    return assembled("icmp", endpoints, probes, (_part(flight, probes) for flight in flights), errors, watch)


class _Flight(NamedTuple):
    """The endpoints of one family, by row, and the exchange with them."""

    rows: NDArray[np.int64]
    exchange: Exchange


def _fly(
    flights: Sequence[_Flight], targets: int, rate_per_s: float, rounds: int, interval_s: float, watch: Watch
) -> None:
    """Send all rounds at an even rate, and receive meanwhile."""
    of_family = np.zeros((len(flights), targets + 1), np.int64)
    for number, flight in enumerate(flights):
        of_family[number, flight.rows + 1] = 1
    ahead = of_family.cumsum(axis=1).tolist()  # how many of the first i endpoints are of the family
    exchanges = [flight.exchange for flight in flights]
    patience = min((exchange.patience for exchange in exchanges), default=1)
    collected = settled = time.monotonic_ns()
    turns = Rounds(targets, rounds, rate_per_s, interval_s, collected)
    while not turns.over:
        now, at = time.monotonic_ns(), turns.next % targets
        count = turns.take(now, patience)
        for exchange, before in zip(exchanges, ahead, strict=True):
            exchange.send(before[at + count] - before[at], watch.epoch)
        if now - collected > _COLLECT_NS or any(e.uncollected + turns.burst > patience for e in exchanges):
            collected = now
            for exchange in exchanges:
                exchange.collect(watch)
        if now - settled > _SETTLE_NS:
            settled = now
            for exchange in exchanges:
                exchange.settle(watch)
        sleep_until(min(turns.wake_ns(), now + _COLLECT_NS))


def _wait(flights: Sequence[_Flight], until_ns: int, watch: Watch) -> None:
    """Receive until all is answered or the time is over."""
    exchanges = [flight.exchange for flight in flights]
    while True:
        now = time.monotonic_ns()
        for exchange in exchanges:
            exchange.collect(watch)
            exchange.settle(watch)
        if now >= until_ns or not any(exchange.waiting for exchange in exchanges):
            break
        sleep_until(min(now + _TAIL_NS, until_ns))
    watch.look()
    for exchange in exchanges:
        exchange.finish()


def _part(flight: _Flight, probes: int) -> Part:
    rows, exchange = flight
    shape = (probes, -1)
    sent_at_ns, rtt_ms = exchange.sent_at_ns.reshape(shape).T, exchange.rtt_ms.reshape(shape).T
    return Part(rows, sent_at_ns, rtt_ms, exchange.answered.reshape(shape).T, exchange.said)
