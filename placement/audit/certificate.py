"""Reads a certificate without trusting it: multipliers by name, or the reasons why it proves nothing."""

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

SCHEMA = "nearserve-certificate-1"
DEMAND = ("demand_region", "demand_model", "demand_service", "demand_slice")
NAMES = (*DEMAND, "site", "slice", "limit")
LEAF = ("demand_usd", "uplink_usd", "downlink_usd", "limit_usd", "budget", "closed_sites", "open_sites")
PRICES = LEAF[:5]
ONE_LEAF = frozenset(("schema", "leaves", *NAMES, *(f"leaf0_{name}" for name in LEAF)))


class CertificateError(ValueError):
    """The certificate proves nothing; the message says why."""


@dataclass(frozen=True)
class Prices:
    """Multipliers by name: of demand rows any sign, of all others ≥ 0. A name that is missing has the price 0."""

    demand_usd: Mapping[Key, float]
    uplink_usd: Mapping[tuple[str, str], float]  # (site, slice)
    downlink_usd: Mapping[tuple[str, str], float]
    limit_usd: Mapping[str, float]
    budget: float


def read_certificate(source: Path | Arrays) -> Prices:
    """The multipliers of the one leaf that this version knows.

    Raises:
        CertificateError: unreadable; unknown or missing arrays; more leaves than one, or fixings; arrays that do not
            fit their names; NaN, infinite, or negative where a row is an inequality; a name twice.
    """
    arrays = _load(source) if isinstance(source, Path) else source
    _one_leaf_without_fixings(arrays)
    names = {name: _texts(arrays, name) for name in NAMES}
    keys = list(zip(*(names[name] for name in DEMAND), strict=False))
    sites, slices, limits = names["site"], names["slice"], names["limit"]
    if len({len(names[name]) for name in DEMAND}) > 1:
        raise CertificateError("the names of the demand rows differ in length")
    for what, listed in (("demand row", keys), ("site", sites), ("slice", slices)):
        if len(set(listed)) < len(listed):
            raise CertificateError(f"a {what} is named twice")
    shapes = dict(zip(PRICES, ((len(keys),), *2 * ((len(sites), len(slices)),), (len(limits),), ()), strict=True))
    leaf = {name: _figures(arrays, f"leaf0_{name}", shape) for name, shape in shapes.items()}
    for name in PRICES[1:]:
        if (leaf[name] < 0).any():
            raise CertificateError(f"leaf0_{name} holds a negative multiplier of an inequality")
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


def _one_leaf_without_fixings(arrays: Arrays) -> None:
    schema = arrays.get("schema")
    if schema is None or schema.shape != () or str(schema) != SCHEMA:
        raise CertificateError(f"the schema is not {SCHEMA!r}")
    leaves = arrays.get("leaves")
    if leaves is None or leaves.shape != () or leaves.dtype.kind not in "iu" or int(leaves) != 1:
        raise CertificateError("only one leaf is known in this version")
    strange, missing = sorted(set(arrays) - ONE_LEAF), sorted(ONE_LEAF - set(arrays))
    if strange or missing:
        raise CertificateError(f"missing arrays {missing}, unknown arrays {strange}")
    for name in ("leaf0_closed_sites", "leaf0_open_sites"):
        if arrays[name].size:
            raise CertificateError(f"{name}: fixings are not known in this version")


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
