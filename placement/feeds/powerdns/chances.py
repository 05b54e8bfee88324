"""Shares in parts per billion by a server that knows chances in steps of a thousandth.

The backend turns the weights of a name's records into thousandths: it divides in single precision, cuts off what is
below a thousandth, and gives the last record what is then missing (geoipbackend.cc of 4.7). So a class' shares lie
side by side on a line of 10^9 parts, which is cut into a thousand blocks. A block of one site is its own; one that
holds a border between sites is a name of its own, cut into a thousand again: three times, and each part is exact.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

Shares: TypeAlias = Sequence[tuple[str, int]]

THOUSAND = 1000
_MARGIN = 1
"""Of 10^6: single precision errs by less than 10^-7, so that what is meant stays above its thousandth."""


class Chance(NamedTuple):
    """`thousandths` of the answers: to `target`, or as `shares` say, which begin at block `begin` of the line."""

    begin: int
    thousandths: int
    target: str = ""
    shares: tuple[tuple[str, int], ...] = ()


def chances(shares: Shares) -> list[Chance]:
    """The blocks of the line, in its order; `shares` sum to a power of a thousand, at least to a thousand."""
    block = sum(share for _, share in shares) // THOUSAND
    found: list[Chance] = []
    mixed: list[tuple[str, int]] = []  # of the block that is begun
    at = 0
    for target, share in shares:
        if not share:
            continue
        left = share
        if mixed:
            into = min(left, block - at % block)
            mixed.append((target, into))
            left, at = left - into, at + into
            if at % block == 0:
                found.append(Chance(at // block - 1, 1, shares=tuple(mixed)))
                mixed = []
        whole, rest = divmod(left, block)
        if whole:
            found.append(Chance(at // block, whole, target))
        if rest:
            mixed = [(target, rest)]
        at += left
    return found


def weights(thousandths: Sequence[int]) -> list[int]:
    """Weights that the server turns into these thousandths, which sum to a thousand and are at least one each."""
    first = [THOUSAND * part + _MARGIN for part in thousandths[:-1]]
    return [*first, THOUSAND**2 - sum(first)]


def served(given: Iterable[int]) -> list[int]:
    """The thousandths that the server makes of weights: its own arithmetic, step by step."""
    single = [np.float32(weight) for weight in given]
    total = np.float32(0)
    for weight in single:
        total += weight
    found = [int(float(weight / total) * float(THOUSAND)) for weight in single]
    found[-1] += max(0, THOUSAND - sum(found))
    return found
