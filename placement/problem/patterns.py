"""(15) Slices of the day in which a job could run: only sets of which none could be left out."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from placement.problem.errors import UnplannableError

MOST_WINDOW = 12
"""Slices of a window whose sets are enumerated: 924 minimal ones at most (Sperner 1928)."""


class WindowError(UnplannableError):
    """A window with more slices than sets can be enumerated of."""


@dataclass(frozen=True)
class Day:
    """The slices of a day: names and hours by number, and the numbers in the order of the day."""

    names: tuple[str, ...]
    hours: tuple[Fraction, ...]
    order: tuple[int, ...]


def preemptible_patterns(day: Day, window: tuple[int, ...], days: Fraction, needs: Fraction) -> list[tuple[int, ...]]:
    """Minimal sets of the window's slices with Σ hours·days ≥ needs, in order.

    Raises:
        WindowError: the window has more than 12 slices.
    """
    if len(window) > MOST_WINDOW:
        raise WindowError(
            f"a job that may be stopped has a window of {len(window)} slices: name at most {MOST_WINDOW} of them"
        )
    found = []
    for size in range(1, len(window) + 1):
        for chosen in combinations(sorted(window), size):
            hours = [day.hours[t] for t in chosen]
            if sum(hours) * days >= needs > (sum(hours) - min(hours)) * days:
                found.append(chosen)
    return sorted(found)


def continuous_patterns(day: Day, window: tuple[int, ...], days: Fraction, needs: Fraction) -> list[tuple[int, ...]]:
    """Minimal arcs of consecutive slices of the window with Σ hours ≥ needs, one run in one day, in order.

    Where no arc is long enough: the whole day through, if the window is the day and 24·days ≥ needs.
    """
    size = len(day.order)
    if days < 1:
        return []
    arcs = {
        tuple(sorted(arc))
        for start in range(size)
        for length in range(1, size + 1)
        if set(arc := [day.order[(start + step) % size] for step in range(length)]) <= set(window)
        and sum(day.hours[t] for t in arc) >= needs
    }
    if not arcs and len(window) == size and sum(day.hours) * days >= needs:
        return [tuple(range(size))]
    return sorted(arc for arc in arcs if not any(set(other) < set(arc) for other in arcs))
