"""Reading the reference tables and writing derived ones so that the same input gives the same bytes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

FLOAT_DIGITS = 6  # significant digits of every derived figure: more would claim what no source knows


class MissingReferenceError(FileNotFoundError):
    """A raw table that a builder needs is not in the reference folder."""


def read_text(path: Path, separator: str = ",") -> pd.DataFrame:
    """A CSV (or CSV.gz) with every cell as text and "" where it is empty, so that Namibia stays `NA`.

    Raises:
        MissingReferenceError: there is no such file.
    """
    if not path.is_file():
        raise MissingReferenceError(f"{path} is missing: builders need the reference data, see datasets/*/SOURCE.md")
    return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def numbers(column: pd.Series) -> pd.Series:
    """A text column as float64; empty cells become NaN, anything else that is no number raises ValueError."""
    return pd.to_numeric(column.where(column != "", None), errors="raise").astype("float64")


def rounded(values: ArrayLike, digits: int = FLOAT_DIGITS) -> NDArray[np.float64]:
    """Rounded to `digits` significant digits; NaN stays NaN."""
    array = np.asarray(values, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.where(array == 0, 0.0, np.floor(np.log10(np.abs(array))))
    places = digits - 1 - np.nan_to_num(exponent)
    return np.asarray([round(float(v), int(p)) for v, p in zip(array.flat, places.flat, strict=True)]).reshape(
        array.shape
    )


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """UTF-8, LF, no index, absent as an empty cell, floats in their shortest exact form."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def rows(frame: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The named columns row by row, as plain Python values."""
    return zip(*(frame[column].tolist() for column in columns), strict=True)
