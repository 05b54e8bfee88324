"""A model as a readable file in the LP format: for people and for golden tests, so small models only."""

from collections.abc import Iterator

import numpy as np

from solvers.exact.model import Program
from solvers.problem import Float

_WIDTH = 110


def lp_text(model: Program) -> str:
    """The model in the LP format; the same model gives the same text. Rows bear the numbers of their equations."""
    names = list(model.column_names())
    return "\n".join(
        [*_head(model, names), *_rows(model, names), *_bounds(model, names), *_integers(model, names), "End", ""]
    )


def _head(model: Program, names: list[str]) -> Iterator[str]:
    if model.offset_usd:
        yield f"\\ {_number(model.offset_usd)} is paid in any case, for rows that nobody can serve"
    yield "Minimize"
    priced = np.flatnonzero(model.cost)
    yield from _wrapped(" usd:", _terms(model.cost[priced], priced, names) or ["0 " + names[0] if names else "0"])


def _rows(model: Program, names: list[str]) -> Iterator[str]:
    yield "Subject To"
    matrix = model.matrix
    for number, name in enumerate(model.row_names()):
        entries = slice(matrix.indptr[number], matrix.indptr[number + 1])
        order = np.argsort(matrix.indices[entries])
        terms = _terms(matrix.data[entries][order], matrix.indices[entries][order], names) or [f"0 {names[0]}"]
        lower, upper = model.row_lower[number], model.row_upper[number]
        sense, right = ("=", upper) if lower == upper else ("<=", upper)
        yield from _wrapped(f" {name}:", [*terms, f"{sense} {_number(right)}"])


def _bounds(model: Program, names: list[str]) -> Iterator[str]:
    yield "Bounds"
    for name, lower, upper in zip(names, model.lower, model.upper, strict=True):
        yield f" {name} = {_number(lower)}" if lower == upper else f" {_number(lower)} <= {name} <= {_number(upper)}"


def _integers(model: Program, names: list[str]) -> Iterator[str]:
    whole = [names[column] for column in np.flatnonzero(model.integer)]
    if whole:
        yield "Generals"
        yield from _wrapped("", whole)


def _terms(values: Float, columns: np.ndarray, names: list[str]) -> list[str]:
    signed = [
        ("-" if value < 0 else "+", abs(float(value)), names[k]) for value, k in zip(values, columns, strict=True)
    ]
    return [f"{sign} {name}" if size == 1 else f"{sign} {_number(size)} {name}" for sign, size, name in signed]


def _number(value: float) -> str:
    return f"{float(value):.12g}"


def _wrapped(start: str, words: list[str]) -> Iterator[str]:
    line = start
    for word in words:
        if len(line) + len(word) + 1 > _WIDTH:
            yield line
            line = "  "
        line += " " + word
    yield line
