"""Random numbers for compiled code: xorshift64* (Vigna 2016), its state in an array of one."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Random = NDArray[np.uint64]


def new_random(seed: int) -> Random:
    """A generator; the same seed gives the same numbers."""
    random = np.zeros(1, np.uint64)
    seed_random(random, np.uint64(seed % 2**64))
    return random


@njit(cache=True, nogil=True)
def seed_random(state: Random, seed: int | np.uint64) -> None:
    """Start a generator anew."""
    state[0] = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x2545F4914F6CDD1D)
    if state[0] == 0:
        state[0] = np.uint64(1)
    for _ in range(8):
        uniform(state)


@njit(cache=True, nogil=True)
def uniform(state: Random) -> float:
    """A number in [0, 1)."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return float((x * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(11)) / 9007199254740992.0


@njit(cache=True, nogil=True)
def below(state: Random, count: int) -> int:
    """A whole number in 0..count-1."""
    return min(int(uniform(state) * count), count - 1)
