"""Sets of whole numbers as sorted ranges [first, last]: which numbers of an agent's records have been taken."""

from collections.abc import Iterable, Sequence

Range = tuple[int, int]


def ranges_of(numbers: Iterable[int]) -> list[Range]:
    """The ranges of some numbers, in any order, repeats allowed; ranges that touch are one."""
    found: list[Range] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def union(one: Iterable[Range], other: Iterable[Range]) -> list[Range]:
    """All numbers that are in one or the other; ranges that touch are one."""
    found: list[Range] = []
    for first, last in sorted((*one, *other)):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def contained(numbers: Sequence[int], ranges: Sequence[Range]) -> set[int]:
    """Those of the numbers that lie in sorted, disjoint ranges."""
    found = set()
    place = 0
    for number in sorted(set(numbers)):
        while place < len(ranges) and ranges[place][1] < number:
            place += 1
        if place < len(ranges) and ranges[place][0] <= number:
            found.add(number)
    return found
