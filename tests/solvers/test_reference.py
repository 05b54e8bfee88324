"""Named tuples passed to compiled code by reference."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.search.reference import refer


class Things(NamedTuple):
    whole: int
    part: float
    true: bool
    narrow: NDArray[np.int32]
    table: NDArray[np.float64]
    marks: NDArray[np.bool_]
    none: NDArray[np.float64]


@njit
def look(things: Things, at: int) -> tuple[int, float, bool, int, float, int, bool, int]:
    return (
        things.whole, things.part, things.true, things.narrow[at], things.table[at, 1], things.table.shape[1],
        things.marks[at], len(things.none),
    )  # fmt: skip


@njit
def write(things: Things) -> None:
    for k in range(len(things.narrow)):
        things.narrow[k] += 1
    things.table[1] = things.part


def things(table: NDArray[np.float64]) -> Things:
    return Things(-7, 2.5, True, np.array([3, -4], np.int32), table, np.array([False, True]), np.zeros(0))


def test_kernels_read_fields() -> None:
    assert look(refer(things(np.arange(6.0).reshape(2, 3))), 1) == (-7, 2.5, True, -4, 4.0, 3, True, 0)


def test_arrays_may_be_strided() -> None:
    table = np.arange(24.0).reshape(4, 6)[::2, ::2]
    assert look(refer(things(table)), 1)[4:6] == (14.0, 3)


def test_what_a_kernel_writes_is_seen() -> None:
    there = things(np.zeros((2, 3)))
    write(refer(there))
    assert there.narrow.tolist() == [4, -3]
    assert there.table.tolist() == [[0, 0, 0], [2.5, 2.5, 2.5]]


def test_a_reference_keeps_its_arrays() -> None:
    reference = refer(things(np.full((2, 3), 9.0)))
    for _ in range(100):
        np.zeros((2, 3))
    assert look(reference, 0)[4] == 9.0
