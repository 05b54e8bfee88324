"""Rounds of a look: their number and pace, what is counted, and how they become one record."""

import socket
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from probes.methods import tcp
from probes.methods.endpoint import Endpoint
from probes.methods.sweep import Sweep, records
from probes.once.aim import take
from probes.once.look import Asked
from probes.once.rounds import Tally, joined, rounds
from probes.once.sweeping import by_sweeps

ENDS = (Endpoint("a", "192.0.2.1"), Endpoint("b", "192.0.2.2"))


def swept(rtt_ms: Sequence[float | None], sent_at: Sequence[int], error: str | None = None) -> Sweep:
    """A round over both ends; None: no answer, NaN: an answer without a time."""
    return Sweep(
        method="icmp",
        endpoints=ENDS,
        started_ns=1_000,
        sent_at_ns=np.array([[at] for at in sent_at], np.int64),
        rtt_ms=np.array([[np.nan if rtt is None else rtt] for rtt in rtt_ms]),
        answered=np.array([[rtt is not None] for rtt in rtt_ms]),
        clock_ok=True,
        errors={1: error} if error else {},
    )


def test_a_tally_counts_lost_untimed_and_unsent_probes_apart() -> None:
    tally = Tally()
    for sweep in (
        swept([5.0, 0.0], [10, 0], "not sent: Network is unreachable"),
        swept([None, 0.0], [20, 0], "not sent: Network is unreachable"),
        swept([float("nan"), 0.0], [30, 0]),
    ):
        tally.add(sweep, 0)
    assert tally.rtt_ms == [5.0, None, None]
    assert tally.answered == [True, False, True]
    assert (tally.summary.sent, tally.summary.received) == (3, 2)
    other = Tally()
    for _ in range(2):
        other.add(swept([1.0, None], [10, 0], "not sent: Network is unreachable"), 1)
    assert (other.summary.sent, other.summary.lost_share) == (0, None)
    assert list(other.errors) == ["not sent: Network is unreachable"]


def test_joined_rounds_are_one_record_of_all_probes() -> None:
    one = joined(
        [swept([5.0, None], [10, 11]), swept([None, 7.0], [20, 21], "late"), swept([6.0, 8.0], [30, 31], "late")]
    )
    first, second = records(one, "here")
    assert (first.rtt_ms, first.sent, first.received, first.observed_at) == ((5.0, 6.0), 3, 2, 10)
    assert (second.rtt_ms, second.sent, second.received, second.error) == ((7.0, 8.0), 3, 2, "late")
    with pytest.raises(ValueError, match="no sweep"):
        joined([])


def test_rounds_begin_an_interval_apart_and_end_after_their_count() -> None:
    now = [0.0]
    began: list[float] = []

    def sweep(endpoints: Sequence[Endpoint], *, probes: int, rate_per_s: float, timeout_s: float) -> Sweep:
        began.append(now[0])
        now[0] += 0.7 if len(began) == 2 else 0.1  # one round waits for its timeout
        return swept([1.0, 1.0], [1, 1])

    def sleep(seconds: float) -> None:
        now[0] += seconds

    list(rounds(sweep, ENDS, count=4, interval_s=0.5, timeout_s=1, sleep=sleep, now=lambda: now[0]))
    assert began == pytest.approx([0.0, 0.5, 1.2, 1.7])


def test_rounds_without_a_count_go_on() -> None:
    def sweep(endpoints: Sequence[Endpoint], *, probes: int, rate_per_s: float, timeout_s: float) -> Sweep:
        return swept([1.0, 1.0], [1, 1])

    going: Iterator[Sweep] = rounds(sweep, ENDS, count=None, interval_s=0, timeout_s=1)
    assert len([next(going) for _ in range(100)]) == 100


def test_a_look_over_loopback_gives_records_that_agree_with_its_tally() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        aims = take([f"127.0.0.1:{server.getsockname()[1]}", "127.0.0.1:1"])
        look = by_sweeps("tcp", aims, Asked("here", 3, 0.01, 1.0, 1.0))
        steps = sum(1 for _ in look.steps())
    assert (steps, tcp.sweep.__module__) == (3, "probes.methods.tcp")
    for tally, (record,) in zip(look.tallies, look.records(), strict=True):
        assert record.rtt_ms == tuple(tally.rtt_ms)  # all answered: open by SYN-ACK, closed by RST
        assert (record.sent, record.received, record.source, record.method) == (3, 3, "here", "tcp")
    assert look.answered


def test_a_look_that_was_left_before_its_first_round_has_no_records() -> None:
    look = by_sweeps("tcp", take(["127.0.0.1:1"]), Asked("here", 1, 0.1, 1.0, 1.0))
    assert look.records() == [[]] and not look.answered
