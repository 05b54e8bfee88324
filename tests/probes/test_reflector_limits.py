"""Token buckets by prefix: what one source gets, what a flood of forged ones leaves to the others, and memory."""

import socket

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.reflector.limits import Limiter, Rates, prefixes_of
from probes.wire.address import socket_names

SECOND = 1_000_000_000


def of(*prefixes: int) -> np.ndarray:
    return np.array(prefixes, np.uint64)


def test_a_source_has_its_burst_and_then_its_rate() -> None:
    limiter = Limiter(Rates(per_source=10, in_all=1000, burst_s=2), 0)
    assert limiter.admit(4, of(*[7] * 30), 0).sum() == 20
    assert limiter.admit(4, of(*[7] * 30), SECOND // 2).sum() == 5
    assert limiter.admit(4, of(*[7] * 30), 10 * SECOND).sum() == 20


def test_of_one_source_the_first_packets_are_answered_and_others_are_not_touched() -> None:
    limiter = Limiter(Rates(per_source=2, in_all=1000, burst_s=1), 0)
    assert limiter.admit(4, of(1, 1, 9, 1, 1, 9, 3), 0).tolist() == [True, True, True, False, False, True, True]


def test_the_total_holds_over_many_sources() -> None:
    limiter = Limiter(Rates(per_source=100, in_all=1000, burst_s=1, newcomers=0.5), 0)
    assert sum(int(limiter.admit(4, of(n), 0).sum()) for n in range(5000)) == 500  # newcomers have half of it


def test_a_flood_of_forged_sources_leaves_known_ones_their_part_and_takes_no_memory() -> None:
    """Ten honest sources ask once a millisecond; a hundred thousand forged packets a second come from everywhere."""
    rng = np.random.default_rng(3)
    limiter = Limiter(Rates(per_source=200, in_all=20_000, sources=1024), 0)
    honest = np.arange(1, 11, dtype=np.uint64)
    for second in range(3):  # before the flood they come to be known
        assert limiter.admit(4, honest, second * SECOND).all()
    answered = 0
    for millisecond in range(3000, 6000):
        forged = rng.integers(1000, 2**24, 100).astype(np.uint64)
        admitted = limiter.admit(
            4, np.concatenate([forged, honest[millisecond % 10 : millisecond % 10 + 1]]), millisecond * 10**6
        )
        answered += int(admitted[-1])
        assert limiter.sources <= 2048
    assert answered == 3000


def test_newcomers_are_answered_within_a_flood_too() -> None:
    rng = np.random.default_rng(4)
    limiter = Limiter(Rates(per_source=200, in_all=20_000, sources=1024), 0)
    answered = 0
    for millisecond in range(3000):
        forged = rng.integers(1000, 2**24, 100).astype(np.uint64)
        mixed = rng.permutation(np.append(forged, np.uint64(5)))
        admitted = limiter.admit(4, mixed, millisecond * 10**6)
        answered += int(admitted[mixed == 5][0])
    assert answered > 100  # of 3,000, in the part that everybody shares


def test_who_shows_a_key_is_known_at_once() -> None:
    limiter = Limiter(Rates(per_source=1000, in_all=1000, burst_s=1, newcomers=0.1), 0)
    assert limiter.admit(4, of(*[1] * 1000), 0, proven=True).sum() == 1000
    limiter = Limiter(Rates(per_source=1000, in_all=1000, burst_s=1, newcomers=0.1), 0)
    assert limiter.admit(4, of(*[1] * 1000), 0).sum() == 100


def test_families_do_not_share_a_bucket() -> None:
    limiter = Limiter(Rates(per_source=1, in_all=100, burst_s=1), 0)
    assert [limiter.admit(family, of(5, 5), 0).sum() for family in (4, 6)] == [1, 1]


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=40), max_size=30), st.integers(1, 20))
@settings(max_examples=60)
def test_no_pattern_gets_more_than_the_rates(batches: list[list[int]], gap_ms: int) -> None:
    rates = Rates(per_source=20, in_all=60, burst_s=0.5, newcomers=0.5)
    limiter = Limiter(rates, 0)
    taken: dict[int, int] = {}
    for number, batch in enumerate(batches):
        admitted = limiter.admit(4, of(*batch), number * gap_ms * 10**6)
        for source, yes in zip(batch, admitted.tolist(), strict=True):
            taken[source] = taken.get(source, 0) + yes
    seconds = max(len(batches) - 1, 0) * gap_ms / 1e3
    assert all(count <= rates.per_source * (seconds + rates.burst_s) + 1e-6 for count in taken.values())
    assert sum(taken.values()) <= rates.in_all * (seconds + rates.burst_s) + 1e-6


@pytest.mark.parametrize(
    ("family", "addresses", "same"),
    [
        (4, ("192.0.2.1", "192.0.2.255"), True),
        (4, ("192.0.2.1", "192.0.3.1"), False),
        (6, ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"), True),
        (6, ("2001:db8:1:2::1", "2001:db8:1:3::1"), False),
    ],
)
def test_a_source_is_a_24_or_a_64(family: int, addresses: tuple[str, str], same: bool) -> None:
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    first, second = prefixes_of(socket_names(kind, addresses), family).tolist()
    assert (first == second) is same
