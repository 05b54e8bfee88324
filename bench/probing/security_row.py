"""One threat and what came of it: refused, counted, logged, and the process still at its work."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Cell(NamedTuple):
    """Whether it is as it must be, and what was seen."""

    right: bool
    seen: str


class Row(NamedTuple):
    """A threat to `process`, and the four things that must hold."""

    process: str
    threat: str
    refused: Cell
    counted: Cell
    logged: Cell
    up: Cell

    @property
    def right(self) -> bool:
        """Whether all four hold."""
        return all(cell.right for cell in self[2:])


def counted(name: str, before: float, after: float, least: float = 1.0) -> Cell:
    """A counter that must have grown by so much."""
    return Cell(after - before >= least, f"{name} {before:.0f} → {after:.0f}")


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def table(rows: Sequence[Row]) -> str:
    """One line a threat; what is wrong is marked."""
    lines = []
    process = ""
    for row in rows:
        if row.process != process:
            process = row.process
            lines.append(f"\n{process}: threat | refused | counted | logged | still up")
        cells = [("" if cell.right else "WRONG ") + cell.seen for cell in row[2:]]
        lines.append("  " + " | ".join([row.threat, *cells]))
    return "\n".join(lines)
