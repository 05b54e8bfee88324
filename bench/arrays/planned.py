"""A plan of a reference instance and what proves its bound, as one file of arrays in the instance's own numbering.

The names are those of `docs/certificate.md` with `solvers.solution`'s numbers for names: rows are classes, blocks
(site, model) as in the instance, offer 3p + k is server kind k at site p, limit k the stock of kind k.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.arrays.instance import Float, Int, save_named

Arrays = Mapping[str, NDArray[Any]]


class CertificateFormError(ValueError):
    """The arrays are no certificate."""


@dataclass(frozen=True)
class ArrayPlan:
    """P sites, B blocks, N pairs, I classes. Counts are floats here, so that a peer's 0.9999999 can be seen."""

    open: Float  # P
    servers: Float  # P × 3
    replicas: Float  # B
    share: Float  # N
    unserved: Float  # I

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {f"plan_{name}": value for name, value in vars(self).items()}

    @property
    def column(self) -> Float:
        """z of the generator's matrix."""
        return np.concatenate([self.open, self.servers.ravel(), self.replicas, self.share, self.unserved])


def split_column(column: Float, sites: int, blocks: int, pairs: int) -> ArrayPlan:
    """The plan of z of the generator's matrix."""
    ends = np.cumsum([sites, 3 * sites, blocks, pairs])
    opened, servers, replicas, share, unserved = np.split(np.asarray(column, np.float64), ends)
    return ArrayPlan(opened, servers.reshape(sites, 3), replicas, share, unserved)


@dataclass(frozen=True)
class CutArrays:
    """Rounding cuts, `docs/certificate.md` (C)."""

    unit: Float
    row_first: Int
    row: Int
    weight: Float
    block_first: Int
    block: Int

    @property
    def count(self) -> int:
        return len(self.unit)


@dataclass(frozen=True)
class TreeArrays:
    """Branchings, `docs/certificate.md` (G): a child ≥ 0 is a node, -1 - j is leaf j; without nodes leaf 0 is all."""

    kind: Int
    index: Int
    most: Int
    left: Int
    right: Int


@dataclass(frozen=True)
class GroupArrays:
    """A group of sites, priced leaf by leaf."""

    site: Int
    row: Int
    cuts: CutArrays
    tree: TreeArrays
    leaf_usd: Float  # leaves × rows of the group
    cut_usd: Float  # leaves × cuts of the group


@dataclass(frozen=True)
class CertificateArrays:
    """Prices of the rows, of cuts, and groups."""

    demand_usd: Float  # I
    uplink_usd: Float  # P: USD per Mbit/s
    limit_usd: Float  # 3
    budget: float
    cut_usd: Float
    cuts: CutArrays
    groups: tuple[GroupArrays, ...]


def save_solved(path: Path, plan: ArrayPlan, certificate: Any) -> None:
    """Write a plan and a `solvers.solution.Certificate` (None: none). Only names of fields are read of the latter."""
    arrays = plan.arrays()
    if certificate is not None:
        arrays |= certificate_arrays(certificate)
    save_named(path, arrays)


def certificate_arrays(certificate: Any) -> dict[str, NDArray[Any]]:
    """A `solvers.solution.Certificate` as plain arrays.

    Raises CertificateFormError where it prices backups, which the reference instances have none of.
    """
    prices = certificate.multipliers
    if prices.backup.usd.size and prices.backup.usd.any():
        raise CertificateFormError("the reference instances know no backups, and the certificate prices some")
    found: dict[str, NDArray[Any]] = {
        "demand_usd": prices.demand_usd,
        "uplink_usd": prices.uplink_usd.sum(axis=1),
        "limit_usd": prices.limit_usd,
        "budget": np.array(prices.budget, np.float64),
        "cut_usd": prices.cut_usd,
        "groups": np.array(len(certificate.groups), np.int64),
    }
    found |= {f"cut_{name}": value for name, value in vars(certificate.cuts).items()}
    for k, group in enumerate(certificate.groups):
        found[f"g{k}_site"], found[f"g{k}_row"] = group.site, group.row
        found |= {f"g{k}_cut_{name}": value for name, value in vars(group.cuts).items()}
        found |= {f"g{k}_tree_{name}": value for name, value in vars(group.tree).items()}
        leaves = len(group.leaves)
        found[f"g{k}_leaf_usd"] = np.array([leaf.demand_usd for leaf in group.leaves]).reshape(leaves, len(group.row))
        found[f"g{k}_leaf_cut_usd"] = np.array([leaf.cut_usd for leaf in group.leaves]).reshape(
            leaves, group.cuts.count
        )
    return found


def load_solved(path: Path) -> tuple[ArrayPlan | None, CertificateArrays | None]:
    """What `save_solved` wrote; a file of a peer has no certificate, one without a plan found has none."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    plan = None
    if "plan_open" in arrays:
        plan = ArrayPlan(*(arrays[f"plan_{name}"].astype(np.float64) for name in ArrayPlan.__dataclass_fields__))
    return plan, read_certificate(arrays) if "demand_usd" in arrays else None


def read_certificate(arrays: Arrays) -> CertificateArrays:
    """The certificate in `arrays`.

    Raises CertificateFormError: an array is missing, of the wrong kind, not finite, or a price of an inequality < 0.
    """
    groups = int(_figures(arrays, "groups", np.int64))
    found = CertificateArrays(
        demand_usd=_figures(arrays, "demand_usd"),
        uplink_usd=_prices(arrays, "uplink_usd"),
        limit_usd=_prices(arrays, "limit_usd"),
        budget=float(_prices(arrays, "budget")),
        cut_usd=_prices(arrays, "cut_usd"),
        cuts=_cuts(arrays, "cut_"),
        groups=tuple(_group(arrays, f"g{k}_") for k in range(groups)),
    )
    if len(found.cut_usd) != found.cuts.count:
        raise CertificateFormError("cut_usd has not one price for each cut")
    return found


def _group(arrays: Arrays, prefix: str) -> GroupArrays:
    tree = TreeArrays(*(_figures(arrays, f"{prefix}tree_{n}", np.int64) for n in TreeArrays.__dataclass_fields__))
    group = GroupArrays(
        site=_figures(arrays, prefix + "site", np.int64),
        row=_figures(arrays, prefix + "row", np.int64),
        cuts=_cuts(arrays, prefix + "cut_"),
        tree=tree,
        leaf_usd=_prices(arrays, prefix + "leaf_usd"),
        cut_usd=_prices(arrays, prefix + "leaf_cut_usd"),
    )
    leaves = len(group.leaf_usd)
    if group.leaf_usd.shape != (leaves, len(group.row)) or group.cut_usd.shape != (leaves, group.cuts.count):
        raise CertificateFormError(f"{prefix} prices of the leaves do not fit its rows and cuts")
    if len({len(value) for value in vars(tree).values()}) > 1:
        raise CertificateFormError(f"{prefix} arrays of the tree differ in length")
    return group


def _cuts(arrays: Arrays, prefix: str) -> CutArrays:
    kinds = {"unit": np.float64, "weight": np.float64}
    cuts = CutArrays(
        *(_figures(arrays, prefix + name, kinds.get(name, np.int64)) for name in CutArrays.__dataclass_fields__)
    )
    for first, entries in ((cuts.row_first, cuts.row), (cuts.block_first, cuts.block)):
        if len(first) != cuts.count + 1 or first[0] != 0 or (np.diff(first) < 0).any() or first[-1] != len(entries):
            raise CertificateFormError(f"{prefix} rows or blocks do not fit the cuts")
    if len(cuts.weight) != len(cuts.row) or (cuts.unit <= 0).any() or (cuts.weight <= 0).any():
        raise CertificateFormError(f"{prefix} weights and units are not all above 0, one for each row")
    return cuts


def _prices(arrays: Arrays, name: str) -> Float:
    found: Float = _figures(arrays, name)
    if (found < 0).any():
        raise CertificateFormError(f"{name} holds a negative price of an inequality")
    return found


def _figures(arrays: Arrays, name: str, kind: type = np.float64) -> Any:
    if name not in arrays:
        raise CertificateFormError(f"{name} is missing")
    wanted = "iu" if kind is np.int64 else "fiu"
    if arrays[name].dtype.kind not in wanted or not np.isfinite(arrays[name]).all():
        raise CertificateFormError(f"{name} is not of finite numbers ({kind.__name__})")
    return arrays[name].astype(kind)
