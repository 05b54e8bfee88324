"""Reads a certificate without trusting it: multipliers by period and name, or the reasons why it proves nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from placement.audit.arrays import Arrays, CertificateError, Float, count, figures, load, names, prices, texts
from placement.audit.descriptors import (
    BACKUPS,
    BLOCKS,
    COVERS,
    CUTS,
    GROUP,
    BackupPrices,
    Blocks,
    Covers,
    Cuts,
    Group,
    read_backups,
    read_blocks,
    read_covers,
    read_cuts,
    read_groups,
)
from placement.audit.facts import Key

__all__ = ["Arrays", "CertificateError", "Prices", "read_certificate"]

SCHEMA = "nearserve-certificate-6"
COMMON = ("period", "site", "slice")
DEMAND = ("demand_region", "demand_model", "demand_service", "demand_slice")
ROWS = ("demand_usd", "uplink_usd", "downlink_usd", "limit_usd", "budget")
SIZE = "demand_mbps"
"""How large the rows were: for the next plan, no part of the proof, and not in every certificate."""
JOBS = ("job", "job_usd")
"""Not in a certificate of a period without jobs."""
PERIOD = (*DEMAND, "limit", *ROWS, *BLOCKS, *CUTS, *COVERS, *BACKUPS, "groups")


@dataclass(frozen=True)
class Prices:
    """What a certificate says of one period. One multiplier that is missing is 0.

    Prices of demand rows and jobs have any sign, all others are ≥ 0. Cuts, backups and groups speak of sites, slices,
    rows and blocks by their position in `sites`, `slices`, `keys` and `blocks`.
    """

    sites: tuple[str, ...]
    slices: tuple[str, ...]
    keys: tuple[Key, ...]
    demand_usd: Float  # of `keys`
    uplink_usd: Mapping[tuple[str, str], float]  # (site, slice)
    downlink_usd: Mapping[tuple[str, str], float]
    limit_usd: Mapping[str, float]
    budget: float
    blocks: Blocks
    cuts: Cuts
    covers: Covers
    backups: BackupPrices
    groups: tuple[Group, ...]
    job_usd: Mapping[str, float]


def read_certificate(source: Path | Arrays) -> dict[str, Prices]:
    """What is said of every period; "" names the only one.

    Raises:
        CertificateError: unreadable; unknown or missing arrays; no period; arrays that do not fit each other; NaN,
            infinite, or negative where a row is an inequality; a name, or an entry of a cut, a backup or a group twice;
            a tree that does not cover every plan.
    """
    arrays = load(source) if isinstance(source, Path) else source
    schema = arrays.get("schema")
    if schema is None or schema.shape != () or str(schema) != SCHEMA:
        raise CertificateError(f"the schema is not {SCHEMA!r}")
    for name in COMMON:
        if name not in arrays:
            raise CertificateError(f"missing arrays [{name!r}]")
    periods, sites, slices = (names(arrays, name) for name in COMMON)
    if not periods:
        raise CertificateError("there is no period")
    _refuse_strange_arrays(arrays, len(periods), len(sites))
    return {name: _period(arrays, f"p{h}_", tuple(sites), tuple(slices)) for h, name in enumerate(periods)}


def _refuse_strange_arrays(arrays: Arrays, periods: int, sites: int) -> None:
    """Exactly the arrays of the periods and of as many groups as each says that it has."""
    known = {"schema", *COMMON}
    for h in range(periods):
        known |= {f"p{h}_{name}" for name in PERIOD} | ({f"p{h}_{SIZE}"} & set(arrays))
        own = {f"p{h}_{name}" for name in JOBS}
        known |= own if own & set(arrays) else set()
        groups = count(arrays, f"p{h}_groups", sites) if f"p{h}_groups" in arrays else 0
        known |= {f"p{h}_g{k}_{name}" for k in range(groups) for name in GROUP}
    strange, missing = sorted(set(arrays) - known), sorted(known - set(arrays))
    if strange or missing:
        raise CertificateError(f"missing arrays {missing[:9]}, unknown arrays {strange[:9]}")


def _period(arrays: Arrays, prefix: str, sites: tuple[str, ...], slices: tuple[str, ...]) -> Prices:
    columns = [texts(arrays, prefix + name) for name in DEMAND]
    if len({len(column) for column in columns}) > 1:
        raise CertificateError(f"{prefix}: the names of the demand rows differ in length")
    keys: tuple[Key, ...] = tuple(zip(*columns, strict=True))
    if len(set(keys)) < len(keys):
        raise CertificateError(f"{prefix}: a demand row is named twice")
    if prefix + SIZE in arrays:
        prices(arrays, prefix + SIZE, (len(keys),))
    limits = texts(arrays, f"{prefix}limit")
    summed: dict[str, float] = {}
    for name, usd in zip(limits, prices(arrays, f"{prefix}limit_usd", (len(limits),)).tolist(), strict=True):
        summed[name] = summed.get(name, 0.0) + usd
    blocks = read_blocks(arrays, prefix, len(sites), len(slices))
    backups = read_backups(arrays, prefix, len(keys))
    rows = len(keys) + len(backups.usd)
    return Prices(
        sites=sites,
        slices=slices,
        keys=keys,
        demand_usd=figures(arrays, f"{prefix}demand_usd", (len(keys),)),
        uplink_usd=_wires(arrays, f"{prefix}uplink_usd", sites, slices),
        downlink_usd=_wires(arrays, f"{prefix}downlink_usd", sites, slices),
        limit_usd=summed,
        budget=float(prices(arrays, f"{prefix}budget", ())),
        blocks=blocks,
        cuts=read_cuts(arrays, prefix, rows, len(blocks.site)),
        covers=read_covers(arrays, prefix, len(keys)),
        backups=backups,
        groups=read_groups(arrays, prefix, rows, len(slices), blocks, len(sites)),
        job_usd=_jobs(arrays, prefix),
    )


def _jobs(arrays: Arrays, prefix: str) -> dict[str, float]:
    if prefix + JOBS[0] not in arrays:
        return {}
    listed = names(arrays, prefix + JOBS[0])
    return dict(zip(listed, figures(arrays, prefix + JOBS[1], (len(listed),)).tolist(), strict=True))


def _wires(arrays: Arrays, name: str, sites: tuple[str, ...], slices: tuple[str, ...]) -> dict[tuple[str, str], float]:
    usd = prices(arrays, name, (len(sites), len(slices)))
    return dict(zip(((site, t) for site in sites for t in slices), usd.ravel().tolist(), strict=True))
