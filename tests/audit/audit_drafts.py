"""Certificates of one period as values that are easy to change: random ones, and changes that a liar might try."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from audit_model import Prices, fair_prices
from audit_model_world import World
from audit_oracle import names

Rng = np.random.Generator
Block = tuple[int, str, str, int]
"""Position of the site, shape, owner, position of the slice or -1."""
OPEN, SERVERS, REPLICAS = 0, 1, 2


@dataclass
class Cut:
    unit: float
    weights: dict[int, float]  # by position of the row; failure rows come after the demand rows
    blocks: list[int]
    usd: Any  # a price, or one for every leaf


@dataclass
class Cover:
    unit: float
    weights: dict[int, float]  # by position of the demand row
    usd: float


@dataclass
class Group:
    sites: list[int]
    rows: list[int]
    nodes: list[list[Any]]  # kind, site, name, owner, slice, most, left, right
    leaf_usd: np.ndarray  # leaves × rows
    cuts: list[Cut] = field(default_factory=list)


@dataclass
class Draft:
    """A certificate of a world's period ""."""

    keys: list[tuple[str, ...]]
    sites: list[str]
    slices: list[str]
    limits: list[str]
    demand: np.ndarray
    up: np.ndarray
    down: np.ndarray
    limit: np.ndarray
    budget: float
    blocks: list[Block] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    failures: list[tuple[str, int, float]] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    covers: list[Cover] = field(default_factory=list)

    def arrays(self) -> dict[str, np.ndarray]:
        columns = np.array(self.keys).T
        return {
            "schema": np.array("nearserve-certificate-6"),
            "period": np.array([""]),
            "site": np.array(self.sites),
            "slice": np.array(self.slices, np.str_),
            **{f"p0_demand_{n}": c for n, c in zip(("region", "model", "service", "slice"), columns, strict=True)},
            "p0_limit": np.array(self.limits, np.str_),
            "p0_demand_usd": self.demand,
            "p0_uplink_usd": self.up,
            "p0_downlink_usd": self.down,
            "p0_limit_usd": self.limit,
            "p0_budget": np.array(self.budget),
            "p0_block_site": np.array([b[0] for b in self.blocks], np.int64),
            "p0_block_shape": np.array([b[1] for b in self.blocks], np.str_),
            "p0_block_tenant": np.array([b[2] for b in self.blocks], np.str_),
            "p0_block_slice": np.array([b[3] for b in self.blocks], np.int64),
            **{f"p0_{name}": array for name, array in _cuts(self.cuts, None).items()},
            **{f"p0_{name}": array for name, array in _covers(self.covers).items()},
            "p0_backup_domain": np.array([f[0] for f in self.failures], np.str_),
            "p0_backup_row": np.array([f[1] for f in self.failures], np.int64),
            "p0_backup_usd": np.array([f[2] for f in self.failures], np.float64),
            "p0_groups": np.array(len(self.groups)),
            **{f"p0_g{k}_{n}": a for k, group in enumerate(self.groups) for n, a in _group(group).items()},
        }


def _cuts(cuts: list[Cut], leaves: int | None) -> dict[str, np.ndarray]:
    rows, blocks = [list(cut.weights) for cut in cuts], [cut.blocks for cut in cuts]
    usd = np.array([cut.usd for cut in cuts], np.float64)
    return {
        "cut_unit": np.array([cut.unit for cut in cuts], np.float64),
        "cut_row_first": np.cumsum([0, *map(len, rows)]),
        "cut_row": np.array([i for listed in rows for i in listed], np.int64),
        "cut_weight": np.array([w for cut in cuts for w in cut.weights.values()], np.float64),
        "cut_block_first": np.cumsum([0, *map(len, blocks)]),
        "cut_block": np.array([b for listed in blocks for b in listed], np.int64),
        "cut_usd": usd if leaves is None else usd.reshape(len(cuts), leaves).T,
    }


def _covers(covers: list[Cover]) -> dict[str, np.ndarray]:
    return {
        "cover_unit": np.array([cover.unit for cover in covers], np.float64),
        "cover_row_first": np.cumsum([0, *(len(cover.weights) for cover in covers)]),
        "cover_row": np.array([i for cover in covers for i in cover.weights], np.int64),
        "cover_weight": np.array([w for cover in covers for w in cover.weights.values()], np.float64),
        "cover_usd": np.array([cover.usd for cover in covers], np.float64),
    }


def _group(group: Group) -> dict[str, np.ndarray]:
    kinds = (np.int64, np.int64, np.str_, np.str_, np.int64, np.int64, np.int64, np.int64)
    named = ("kind", "site", "name", "tenant", "slice", "most", "left", "right")
    columns = zip(*group.nodes, strict=True) if group.nodes else [()] * 8
    tree = {f"tree_{n}": np.array(c, t) for n, c, t in zip(named, columns, kinds, strict=True)}
    rows = {"site": np.array(group.sites, np.int64), "row": np.array(group.rows, np.int64), "leaf_usd": group.leaf_usd}
    return rows | _cuts(group.cuts, len(group.leaf_usd)) | tree


def draft(told: World, prices: Prices) -> Draft:
    """A certificate of the prices alone, with every block of the world listed."""
    listed = names(told, "")
    sites, slices, limits = listed["sites"], listed["slices"], listed["limits"]
    keys = [tuple(key) for key in listed["keys"]]
    shapes = sorted(set(told.scenario.table("shapes")["shape"]))
    stands = range(len(slices)) if told.stands != ["*"] else [-1]
    return Draft(
        keys, sites, slices, limits,
        np.array([prices.demand[key] for key in keys]),
        np.array([[prices.up[site, t] for t in slices] for site in sites]),
        np.array([[prices.down[site, t] for t in slices] for site in sites]),
        np.array([prices.limit[name] for name in limits], np.float64),
        prices.budget,
        [(p, d, o, t) for p in range(len(sites)) for d in shapes for o in told.owners for t in stands],
    )  # fmt: skip


def with_cut(told: World, found: Draft, rng: Rng) -> Draft:
    """One more cut: rows of one model, weighted by their rates or as one pleases, and blocks that may carry them."""
    kept = deepcopy(found)
    cut = _random_cut(told, found, rng, range(len(found.sites)), float(rng.choice([1, 30, 300]) * rng.uniform(0, 2)))
    kept.cuts.append(cut)
    need = sum(cut.weights.values()) / cut.unit
    for row, weight in cut.weights.items():  # a cut's price is part of what its rows are paid
        usd = cut.usd * weight / cut.unit / max(need % 1, 0.01)
        if row < len(kept.keys):
            kept.demand[row] += usd
        else:
            domain, about, paid = kept.failures[row - len(kept.keys)]
            kept.failures[row - len(kept.keys)] = (domain, about, paid + usd)
    return kept


def _random_cut(told: World, found: Draft, rng: Rng, sites: Any, usd: Any) -> Cut:
    rates = [row["requests_per_s"] for row in told.demand("")]
    order = {
        (r["region"], r["model"], r["service"], r["slice"]): q for r, q in zip(told.demand(""), rates, strict=True)
    }
    about = [*found.keys, *(found.keys[f[1]] for f in found.failures)]
    model = about[rng.integers(len(about))][1]
    rows = [n for n, key in enumerate(about) if key[1] == model and rng.random() < 0.7]
    rows = rows or [int(rng.integers(len(about)))]
    shapes = [d for d in told.scenario.table("shapes").to_dict("records") if d["model"] == model]
    unit = float(rng.choice([d["requests_per_s"] for d in shapes])) if shapes else 1.0
    named = {d["shape"] for d in shapes if rng.random() < 0.8}
    blocks = [n for n, b in enumerate(found.blocks) if b[1] in named and b[0] in sites and rng.random() < 0.9]
    weights = {n: float(order[about[n]] * rng.choice([1.0, rng.uniform(0.2, 2)])) for n in rows}
    return Cut(unit * float(rng.choice([1.0, rng.uniform(0.3, 3)])), weights, blocks, usd)


def with_cover(told: World, found: Draft, rng: Rng) -> Draft:
    """One more cover, of a few rows that a random cut would take."""
    kept = deepcopy(found)
    cut = _random_cut(told, found, rng, [], float(rng.choice([5, 50, 500]) * rng.uniform(0, 2)))
    weights = {i: weight for i, weight in cut.weights.items() if i < len(kept.keys) and rng.random() < 0.5}
    if weights:
        kept.covers.append(Cover(cut.unit, weights, cut.usd))
    return kept


def with_failure(told: World, found: Draft, rng: Rng) -> Draft:
    """One more failure row."""
    kept = deepcopy(found)
    domains = sorted({row["domain"] for row in told.rows("domains")})
    name, row = domains[rng.integers(len(domains))], int(rng.integers(len(found.keys)))
    if (name, row) not in {f[:2] for f in found.failures}:
        kept.failures.append((name, row, float(rng.uniform(-100, 3000))))
    return kept


def with_group(told: World, found: Draft, rng: Rng) -> Draft:
    """A group of some sites that are in none, with a random tree, prices a little below the root's, maybe a cut."""
    kept = deepcopy(found)
    taken = {p for group in found.groups for p in group.sites}
    sites = [p for p in range(len(found.sites)) if p not in taken and rng.random() < 0.8]
    if not sites:
        return kept
    count = len(found.keys) + len(found.failures)
    rows = [n for n in range(count) if rng.random() < 0.8]
    nodes = _random_tree(told, found, rng, sites)
    leaves = len(nodes) + 1
    root = np.array([*found.demand, *(f[2] for f in found.failures)])[rows]
    usd = root - np.abs(root) * rng.choice([0.0, 0.0, 0.1, 0.5], (leaves, len(rows)))
    group = Group(sites, rows, nodes, usd)
    if rng.random() < 0.5:
        group.cuts.append(_random_cut(told, found, rng, sites, rng.uniform(0, 1500, leaves)))
    kept.groups.append(group)
    return kept


def _random_tree(told: World, found: Draft, rng: Rng, sites: list[int]) -> list[list[Any]]:
    """Leaves are split one after another."""
    nodes: list[list[Any]] = []
    leaves = [(-1, 0)]  # (node, side) that each leaf hangs on
    for _ in range(int(rng.integers(0, 6))):
        node, side = leaves.pop(int(rng.integers(len(leaves))))
        if node >= 0:
            nodes[node][6 + side] = len(nodes)
        nodes.append([*_random_count(told, found, rng, sites), 0, 0])
        leaves += [(len(nodes) - 1, 0), (len(nodes) - 1, 1)]
    for leaf, (node, side) in enumerate(leaves):
        if node >= 0:
            nodes[node][6 + side] = -1 - leaf
    return nodes


def _random_count(told: World, found: Draft, rng: Rng, sites: list[int]) -> list[Any]:
    site, kind = int(rng.choice(sites)), int(rng.integers(3))
    owner = told.owners[rng.integers(len(told.owners))]
    if kind == OPEN:
        return [OPEN, site, "", "", -1, 0]
    if kind == SERVERS:
        listed = [k["server"] for k in told.rows("servers")]
        return [SERVERS, site, listed[rng.integers(len(listed))], owner, -1, int(rng.integers(0, 2))]
    blocks = [b for b in found.blocks if b[0] == site]
    _, shape, owner, t = blocks[rng.integers(len(blocks))]
    return [REPLICAS, site, shape, owner, t, int(rng.integers(0, 3))]


def changed(told: World, found: Draft, rng: Rng) -> Draft:
    """A copy with something else in it, mostly still a certificate."""
    kept, what = deepcopy(found), rng.integers(11)
    if what <= 2:
        some = rng.random(len(kept.demand)) < 0.4
        kept.demand = np.where(
            some, kept.demand * rng.uniform(0.6, 1.6, len(some)) + rng.normal(0, 20, len(some)), kept.demand
        )
    elif what == 3:
        for name in ("up", "down", "limit"):
            setattr(kept, name, getattr(kept, name) * rng.uniform(0, 1.5))
        kept.budget *= float(rng.uniform(0, 1.5))
    elif what == 4:
        return with_cut(told, kept, rng) if len(kept.cuts) < 6 else kept
    elif what == 5 and kept.cuts:
        cut = kept.cuts[rng.integers(len(kept.cuts))]
        cut.usd *= float(rng.uniform(0, 2))
        cut.unit *= float(rng.choice([1.0, 1.0, rng.uniform(0.5, 2)]))
    elif what == 6:
        if told.rows("domains") and len(kept.failures) < 20 and not kept.groups and not kept.cuts:
            return with_failure(told, kept, rng)
        kept.failures = [(e, i, usd * float(rng.uniform(0.3, 2))) for e, i, usd in kept.failures]
    else:
        return _changed_beyond_prices(told, kept, int(what), rng)
    return kept


def _changed_beyond_prices(told: World, kept: Draft, what: int, rng: Rng) -> Draft:
    """`kept`, or one more, with something else in its groups or covers."""
    if what == 7:
        return with_group(told, kept, rng)
    if what == 8 and kept.groups:
        group = kept.groups[rng.integers(len(kept.groups))]
        group.leaf_usd = group.leaf_usd * rng.uniform(0.7, 1.3, group.leaf_usd.shape)
        for cut in group.cuts:
            cut.usd = cut.usd * rng.uniform(0.3, 2, np.shape(cut.usd))
    elif what == 9 and kept.groups:
        kept.groups.pop(int(rng.integers(len(kept.groups))))
    elif what == 10 and told.rows("domains"):
        if len(kept.covers) < 6 and rng.random() < 0.6:
            return with_cover(told, kept, rng)
        for cover in kept.covers:
            cover.usd *= float(rng.uniform(0, 2))
            cover.unit *= float(rng.choice([1.0, 1.0, rng.uniform(0.5, 2)]))
    return kept


def fair_draft(told: World) -> Draft:
    """What the linear relaxation pays, with all of its failure rows that pay anything."""
    prices, failures = fair_prices(told, "")
    found = draft(told, prices)
    found.failures = [(e, found.keys.index(key), usd) for (e, key), usd in sorted(failures.items()) if usd]
    return found
