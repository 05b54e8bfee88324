"""What one way of a link does to each packet: times worked out by hand, and a queue that is served one by one."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.lab import Host, Pop
from probes.lab.lane import Lane
from probes.lab.network import Link, Network

MS = 1_000_000


def lane(link: Link) -> Lane:
    return Lane(link, len, "seed")


def test_a_packet_waits_half_the_round_trip() -> None:
    assert lane(Link(rtt_ms=20, up=True, rate_mbps=None, loss=0)).due(7 * MS, 100) == 17 * MS


def test_packets_wait_for_each_other_at_the_rate() -> None:
    slow = lane(Link(rtt_ms=2, rate_mbps=8, queue_kbyte=3))  # 8 Mbit/s: a byte a microsecond
    assert slow.due(0, 1000) == 1 * MS + 1 * MS
    assert slow.due(0, 1000) == 2 * MS + 1 * MS
    assert slow.due(500_000, 1000) == 3 * MS + 1 * MS
    assert slow.due(500_000, 1000) == 0  # 2,500 bytes wait, and 3,000 may
    assert slow.due(500_000, 500) == 3 * MS + 500_000 + 1 * MS
    assert slow.due(9 * MS, 1000) == 10 * MS + 1 * MS
    assert slow.overflowed == 1


def test_a_packet_larger_than_the_queue_passes_an_empty_one() -> None:
    slow = lane(Link(rate_mbps=8, queue_kbyte=1))
    assert slow.due(0, 5000) == 5 * MS
    assert slow.due(1 * MS, 5000) == 0


@given(
    st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(20, 1500)), min_size=1, max_size=60),
    st.integers(1, 20),
)
def test_the_queue_is_the_one_that_is_served_packet_by_packet(packets: list[tuple[int, int]], queue: int) -> None:
    slow, now, waiting, ends = lane(Link(rate_mbps=8, queue_kbyte=queue)), 0, deque[int](), 0
    for gap_ns, octets in packets:
        now += gap_ns
        while waiting and waiting[0] <= now:
            waiting.popleft()
        backlog_ns = max(0, ends - now)  # at a byte a microsecond
        fits = not waiting or backlog_ns + octets * 1000 <= queue * MS
        if fits:
            ends = max(ends, now) + octets * 1000
            waiting.append(ends)
        assert slow.due(now, octets) == (ends if fits else 0)


@given(st.lists(st.integers(0, 3 * MS), min_size=2, max_size=50))
def test_jitter_never_changes_the_order(gaps_ns: list[int]) -> None:
    shaky, now, dues = lane(Link(rtt_ms=1, jitter_ms=5)), 0, []
    for gap_ns in gaps_ns:
        now += gap_ns
        due = shaky.due(now, 100)
        assert now + MS // 2 <= due <= max(now + MS // 2 + 5 * MS, dues[-1] if dues else 0)
        dues.append(due)
    assert dues == sorted(dues)


@pytest.mark.parametrize(("link", "fate"), [(Link(loss=1), "lost"), (Link(up=False), "while_down")])
def test_what_is_lost_is_counted_where_it_belongs(link: Link, fate: str) -> None:
    gone = lane(link)
    assert [gone.due(1, 100) for _ in range(3)] == [0, 0, 0]
    assert getattr(gone.counts(), fate) == 3


def test_round_trips_of_links_with_a_way_back_of_their_own() -> None:
    link = Link(rtt_ms=30, loss=0.1, back=Link(rtt_ms=10, loss=0.2))
    assert link.round_trip_ms == 20
    assert link.round_trip_loss == pytest.approx(0.28)
    assert Link(rtt_ms=30, loss=0.1).round_trip_loss == pytest.approx(0.19)


def test_a_pairs_link_comes_before_the_pops_own_and_that_before_the_default() -> None:
    back = Link(rtt_ms=1)
    network = Network(
        (Host("a", "10.0.0.1"), Host("b", "10.0.0.2")),
        (Pop("p", "10.1.0.1", link=Link(rtt_ms=5, back=back)), Pop("q", "10.1.0.2")),
        {("p", "b"): Link(rtt_ms=7, back=Link(rtt_ms=8))},
        Link(rtt_ms=9, back=Link(rtt_ms=10)),
        seed=0,
        offload=False,
    )
    rtts = {pair: network.link(*pair).rtt_ms for pair in ("ap", "pa", "bp", "pb", "aq", "qa", "ab", "ba")}
    assert rtts == {"ap": 5, "pa": 1, "bp": 8, "pb": 7, "aq": 9, "qa": 10, "ab": 9, "ba": 10}
