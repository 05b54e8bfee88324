"""Columns and rows of a frame as plain typed values: what the rest of the domain computes with."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Row = dict[str, Any]


def floats(frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column of figures; NaN where absent."""
    return np.asarray(frame[column], np.float64)


def integers(frame: pd.DataFrame, column: str) -> NDArray[np.int64]:
    """A column of counts."""
    return np.asarray(frame[column], np.int64)


def texts(frame: pd.DataFrame, column: str) -> list[str]:
    """A column of names; "" where absent."""
    return [str(value) for value in frame[column]]


def records(frame: pd.DataFrame) -> list[Row]:
    """The rows as dictionaries by column name."""
    rows: list[Row] = frame.to_dict("records")  # type: ignore[assignment]
    return rows


def keyed(frame: pd.DataFrame, key: str) -> dict[str, Row]:
    """The rows by the name in the column `key`, in the frame's order."""
    return {str(row[key]): row for row in records(frame)}


def numbered(names: list[str] | tuple[str, ...]) -> dict[str, int]:
    """Position of every name."""
    return {name: position for position, name in enumerate(names)}
