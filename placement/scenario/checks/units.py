"""Figures outside of what is possible or plausible, and the unit that someone may have meant."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from placement.scenario.dictionary import Column, tables
from placement.scenario.draft import Draft, at_rows
from placement.scenario.findings import Finding, Severity

PLACED_ELSEWHERE = ("latitude", "longitude")  # they have checks of their own


def check_windows(draft: Draft) -> Iterator[Finding]:
    """Every figure lies in its column's window: outside the possible is an error, outside the plausible a warning."""
    for name in sorted(draft.tables):
        if not draft.own(name):
            continue
        frame = draft.frame(name)
        for column in tables()[name].columns:
            if column.numeric and column.name not in PLACED_ELSEWHERE:
                yield from _outside(draft, name, column, frame[column.name])


def _outside(draft: Draft, name: str, column: Column, values: "pd.Series[float]") -> Iterator[Finding]:
    figures = values.to_numpy(np.float64)
    absurd = (figures < column.least) | (figures > column.most)
    doubtful = ((figures < column.low) | (figures > column.high)) & (figures != 0) & ~absurd
    lines = values.index.to_numpy(np.int64)
    for place in np.nonzero(absurd | doubtful)[0]:
        figure = float(figures[place])
        unit = suspected(column, figure)
        if absurd[place]:
            low, high, word = column.least, column.most, "impossible"
        else:
            low, high, word = column.low, column.high, "doubtful"
        message = f"{word} for {column.unit or 'this column'}: expected {_between(low, high)}"
        if unit:
            message = f"{message}; it looks like {unit[0]}"
        mend = f"In {column.unit} it would be {unit[1]:g}." if unit else "Check figure and unit."
        severity: Severity = "error" if absurd[place] else "warning"
        rows = [int(lines[place])]
        yield from at_rows(draft, name, rows, column.name, "units", message, mend, severity)


def suspected(column: Column, figure: float) -> tuple[str, float] | None:
    """(the unit that the figure seems to be in, the figure in the column's unit); None where no known mistake fits."""
    for unit, factor in column.mistaken:
        right = figure / factor
        if column.low <= right <= column.high and column.least <= right <= column.most:
            return unit, float(f"{right:.6g}")
    return None


def _between(low: float, high: float) -> str:
    if np.isinf(low):
        return f"at most {high:g}"
    return f"at least {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"


CHECKS = (check_windows,)
