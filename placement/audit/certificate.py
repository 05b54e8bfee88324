"""Reads a certificate without trusting it: multipliers by period and name, or the reasons why it proves nothing."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placement.audit.facts import Key

Float = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

SCHEMA = "nearserve-certificate-2"
COMMON = ("period", "site", "slice")
DEMAND = ("demand_region", "demand_model", "demand_service", "demand_slice")
LEAF = ("demand_usd", "uplink_usd", "downlink_usd", "limit_usd", "budget", "closed_sites", "open_sites")
PRICES = LEAF[:5]


class CertificateError(ValueError):
    """The certificate proves nothing; the message says why."""


@dataclass(frozen=True)
class Prices:
    """Multipliers of one period by name: of demand rows any sign, of all others ≥ 0. One that is missing is 0."""

    demand_usd: Mapping[Key, float]
    uplink_usd: Mapping[tuple[str, str], float]  # (site, slice)
    downlink_usd: Mapping[tuple[str, str], float]
    limit_usd: Mapping[str, float]
    budget: float


def read_certificate(source: Path | Arrays) -> dict[str, Prices]:
    """The multipliers of every period, of the one leaf that this version knows; "" names the only period.

    Raises:
        CertificateError: unreadable; unknown or missing arrays; no period; more leaves than one, or fixings; arrays
            that do not fit their names; NaN, infinite, or negative where a row is an inequality; a name twice.
    """
    arrays = _load(source) if isinstance(source, Path) else source
    schema = arrays.get("schema")
    if schema is None or schema.shape != () or str(schema) != SCHEMA:
        raise CertificateError(f"the schema is not {SCHEMA!r}")
    if "period" not in arrays:
        raise CertificateError("missing arrays ['period']")
    periods = _names(arrays, "period")
    if not periods:
        raise CertificateError("there is no period")
    _refuse_strange_arrays(arrays, len(periods))
    sites, slices = _names(arrays, "site"), _names(arrays, "slice")
    return {name: _period(arrays, f"p{h}_", sites, slices) for h, name in enumerate(periods)}


def _refuse_strange_arrays(arrays: Arrays, periods: int) -> None:
    """Exactly the arrays of one leaf without fixings in each of the periods."""
    known = {"schema", *COMMON}
    for h in range(periods):
        known |= {f"p{h}_{name}" for name in (*DEMAND, "limit", "leaves", *(f"leaf0_{name}" for name in LEAF))}
        leaves = arrays.get(f"p{h}_leaves")
        if leaves is not None and (leaves.shape != () or leaves.dtype.kind not in "iu" or int(leaves) != 1):
            raise CertificateError(f"p{h}_leaves: only one leaf is known in this version")
    strange, missing = sorted(set(arrays) - known), sorted(known - set(arrays))
    if strange or missing:
        raise CertificateError(f"missing arrays {missing}, unknown arrays {strange}")
    for h in range(periods):
        for name in ("closed_sites", "open_sites"):
            if arrays[f"p{h}_leaf0_{name}"].size:
                raise CertificateError(f"p{h}_leaf0_{name}: fixings are not known in this version")


def _period(arrays: Arrays, prefix: str, sites: list[str], slices: list[str]) -> Prices:
    columns = [_texts(arrays, prefix + name) for name in DEMAND]
    if len({len(column) for column in columns}) > 1:
        raise CertificateError(f"{prefix}: the names of the demand rows differ in length")
    keys: list[Key] = list(zip(*columns, strict=True))
    if len(set(keys)) < len(keys):
        raise CertificateError(f"{prefix}: a demand row is named twice")
    limits = _texts(arrays, f"{prefix}limit")
    shapes = dict(zip(PRICES, ((len(keys),), *2 * ((len(sites), len(slices)),), (len(limits),), ()), strict=True))
    leaf = {name: _figures(arrays, f"{prefix}leaf0_{name}", shape) for name, shape in shapes.items()}
    for name in PRICES[1:]:
        if (leaf[name] < 0).any():
            raise CertificateError(f"{prefix}leaf0_{name} holds a negative multiplier of an inequality")
    summed: dict[str, float] = {}
    for name, usd in zip(limits, leaf["limit_usd"].tolist(), strict=True):
        summed[name] = summed.get(name, 0.0) + usd
    wires = [(site, name) for site in sites for name in slices]
    return Prices(
        demand_usd=dict(zip(keys, leaf["demand_usd"].tolist(), strict=True)),
        uplink_usd=dict(zip(wires, leaf["uplink_usd"].ravel().tolist(), strict=True)),
        downlink_usd=dict(zip(wires, leaf["downlink_usd"].ravel().tolist(), strict=True)),
        limit_usd=summed,
        budget=float(leaf["budget"]),
    )


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged archive may fail anywhere in zip, zlib or numpy
        raise CertificateError(f"cannot be read: {type(error).__name__}: {error}") from error


def _names(arrays: Arrays, what: str) -> list[str]:
    """Names that differ."""
    listed = _texts(arrays, what)
    if len(set(listed)) < len(listed):
        raise CertificateError(f"a {what} is named twice")
    return listed


def _texts(arrays: Arrays, name: str) -> list[str]:
    values = arrays[name]
    if values.ndim != 1 or (values.dtype.kind != "U" and values.size):
        raise CertificateError(f"{name} is no list of names")
    return [str(value) for value in values.tolist()]


def _figures(arrays: Arrays, name: str, shape: tuple[int, ...]) -> Float:
    values = arrays[name]
    if values.dtype.kind not in "fiu" or values.shape != shape:
        raise CertificateError(f"{name} is not a float array of shape {shape}")
    figures = np.asarray(values, np.float64)
    if not np.isfinite(figures).all():
        raise CertificateError(f"{name} holds NaN or an infinity")
    return figures
