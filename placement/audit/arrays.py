"""Arrays that are not trusted: each is read as what it has to be, or the certificate proves nothing."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Arrays = Mapping[str, NDArray[Any]]


class CertificateError(ValueError):
    """The certificate proves nothing; the message says why."""


def load(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an npz file; no pickle is opened."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged archive may fail anywhere in zip, zlib or numpy
        raise CertificateError(f"cannot be read: {type(error).__name__}: {error}") from error


def names(arrays: Arrays, what: str) -> list[str]:
    """Names that differ."""
    listed = texts(arrays, what)
    if len(set(listed)) < len(listed):
        raise CertificateError(f"a {what} is named twice")
    return listed


def texts(arrays: Arrays, name: str) -> list[str]:
    """A list of names."""
    values = arrays[name]
    if values.ndim != 1 or (values.dtype.kind != "U" and values.size):
        raise CertificateError(f"{name} is no list of names")
    return [str(value) for value in values.tolist()]


def figures(arrays: Arrays, name: str, shape: tuple[int, ...]) -> Float:
    """Finite floats of a shape."""
    values = arrays[name]
    if values.dtype.kind not in "fiu" or values.shape != shape:
        raise CertificateError(f"{name} is not a float array of shape {shape}")
    found = np.asarray(values, np.float64)
    if not np.isfinite(found).all():
        raise CertificateError(f"{name} holds NaN or an infinity")
    return found


def prices(arrays: Arrays, name: str, shape: tuple[int, ...]) -> Float:
    """Multipliers of inequalities: finite floats ≥ 0 of a shape."""
    found = figures(arrays, name, shape)
    if (found < 0).any():
        raise CertificateError(f"{name} holds a negative multiplier of an inequality")
    return found


def positive(arrays: Arrays, name: str, length: int) -> Float:
    """Finite floats > 0."""
    found = figures(arrays, name, (length,))
    if (found <= 0).any():
        raise CertificateError(f"{name} holds a figure that is not above 0")
    return found


def whole(arrays: Arrays, name: str, least: int, most: int) -> Int:
    """A list of whole numbers from `least` to `most`."""
    values = arrays[name]
    if values.ndim != 1 or (values.dtype.kind not in "iu" and values.size):
        raise CertificateError(f"{name} is no list of whole numbers")
    if values.size and (int(values.min()) < least or int(values.max()) > most):
        raise CertificateError(f"{name} holds a number outside {least}..{most}")
    return np.asarray(values, np.int64)


def count(arrays: Arrays, name: str, most: int) -> int:
    """One whole number from 0 to `most`."""
    value = arrays[name]
    if value.shape != () or value.dtype.kind not in "iu" or not 0 <= int(value) <= most:
        raise CertificateError(f"{name} is no number of them from 0 to {most}")
    return int(value)


def alike(length: int, name: str, *columns: Int | Float | list[str]) -> None:
    """All columns have the length."""
    if any(len(column) != length for column in columns):
        raise CertificateError(f"{name}: columns differ in length")


def distinct(values: Int, what: str) -> None:
    """No value twice."""
    if len(np.unique(values)) < len(values):
        raise CertificateError(f"{what} is listed twice")
