"""The generator of compiled code against its definition in Python's whole numbers."""

import numpy as np
import pytest

from solvers.chance import below, new_random, uniform

WORD = 2**64


def defined(seed: int, count: int) -> list[float]:
    """Numbers of xorshift64* (Vigna 2016, "An experimental exploration of Marsaglia's xorshift generators")."""
    x = (seed * 0x9E3779B97F4A7C15 + 0x2545F4914F6CDD1D) % WORD or 1
    found = []
    for _ in range(8 + count):
        x ^= x >> 12
        x ^= x << 25 & WORD - 1
        x ^= x >> 27
        found.append((x * 0x2545F4914F6CDD1D % WORD >> 11) / 2**53)
    return found[8:]


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 2, 2**63 + 5, 2**64 - 1])
def test_numbers_are_those_of_the_definition(seed: int) -> None:
    random = new_random(seed)
    assert [uniform(random) for _ in range(20)] == defined(seed, 20)


def test_a_seed_that_would_give_the_state_0_starts_at_1() -> None:
    seed = -0x2545F4914F6CDD1D * pow(0x9E3779B97F4A7C15, -1, WORD) % WORD
    assert (seed * 0x9E3779B97F4A7C15 + 0x2545F4914F6CDD1D) % WORD == 0
    random = new_random(seed)
    assert [uniform(random) for _ in range(3)] == defined(seed, 3)


def test_whole_numbers_are_in_range_and_all_come() -> None:
    random = new_random(7)
    drawn = np.array([below(random, 5) for _ in range(500)])
    assert set(drawn.tolist()) == set(range(5))
