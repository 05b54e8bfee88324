"""The plan while it is annealed: who serves and who backs up every row, and what that asks of the sites.

A *record* gives a share of a row to a pair: a pair of the problem for the primaries (domain -1), else a backup pair
that takes over when the domain fails. A *cell* is a (block, slice); the loads that the domains put on it are kept as a
list of nodes, and their peak beside it: loads + peak is what the replicas must carry. Links of sites whose wires could
be full have such lists, too, numbered after the cells.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.complete.anneal.land import Land
from solvers.problem import Float, Int

Int32 = NDArray[np.int32]

TINY = 1e-12


class Plan(NamedTuple):
    """Mutable arrays. Free records and nodes are stacked in `record_free`, `node_free`."""

    row_head: Int32  # I
    record_row: Int32
    record_domain: Int32
    record_pair: Int
    record_share: Float
    record_next: Int32  # in the row
    record_up: Int32  # in the block
    record_down: Int32
    record_free: Int32
    block_head: Int32  # B
    node_head: Int32  # cells + links
    node_domain: Int32
    node_load: Float  # replicas; on links Mbit/s out
    node_in: Float  # Mbit/s in
    node_next: Int32
    node_free: Int32
    load: Float  # B × T: of the primaries
    peak: Float  # B × T
    sent: Float  # P × T: by the primaries
    received: Float
    unserved: Float  # I
    replicas: Int  # B
    servers: Int  # O
    chooser: Int  # choices: the block that has replicas, -1
    taken: Int  # U × 4 × T: by replicas and gangs
    option: Int  # J: the option that runs the job, -1
    site_use: Float  # P × R
    site_count: Int  # P: servers
    site_usd: Float  # P
    used: Float  # L
    added: Int  # T: replicas beyond those before
    version: Int  # P
    cache_site: Int  # B: version of the site at which the price was worked out
    cache_stock: Int  # B
    cache_usd: Float  # B: of one more replica
    cache_gain: Int  # B: quarters free with it, itself among them
    number: Int  # [0] free records, [1] free nodes, [2] changes of stock
    money: Float  # [0] sites, [1] routes and jobs, [2] unserved
    need: Int  # 4
    try_counts: Int
    counts: Int
    left: Float  # R


def empty_plan(land: Land, choices: int) -> Plan:
    """Nothing served, nothing standing, no job running."""
    rows, blocks, sites, slices = len(land.penalty), len(land.block_site), len(land.open_usd), land.slices
    records = max(24 * rows + 1024, 4096)
    nodes = 3 * records
    most = int(np.diff(land.offer_first).max(initial=0)) + 1
    return Plan(
        row_head=np.full(rows, -1, np.int32),
        record_row=np.zeros(records, np.int32),
        record_domain=np.zeros(records, np.int32),
        record_pair=np.zeros(records, np.int64),
        record_share=np.zeros(records),
        record_next=np.zeros(records, np.int32),
        record_up=np.zeros(records, np.int32),
        record_down=np.zeros(records, np.int32),
        record_free=np.arange(records, dtype=np.int32)[::-1].copy(),
        block_head=np.full(blocks, -1, np.int32),
        node_head=np.full((blocks + sites) * slices, -1, np.int32),
        node_domain=np.zeros(nodes, np.int32),
        node_load=np.zeros(nodes),
        node_in=np.zeros(nodes),
        node_next=np.zeros(nodes, np.int32),
        node_free=np.arange(nodes, dtype=np.int32)[::-1].copy(),
        load=np.zeros((blocks, slices)),
        peak=np.zeros((blocks, slices)),
        sent=np.zeros((sites, slices)),
        received=np.zeros((sites, slices)),
        unserved=np.ones(rows),
        replicas=np.zeros(blocks, np.int64),
        servers=np.zeros(len(land.offer_usd), np.int64),
        chooser=np.full(choices + 1, -1, np.int64),
        taken=np.zeros((land.units, len(land.sizes), slices), np.int64),
        option=np.full(len(land.job_first) - 1, -1, np.int64),
        site_use=np.zeros_like(land.site_limit),
        site_count=np.zeros(sites, np.int64),
        site_usd=np.zeros(sites),
        used=np.zeros(len(land.limit_most)),
        added=np.zeros(slices, np.int64),
        version=np.zeros(sites, np.int64),
        cache_site=np.full(blocks, -1, np.int64),
        cache_stock=np.full(blocks, -1, np.int64),
        cache_usd=np.zeros(blocks),
        cache_gain=np.zeros(blocks, np.int64),
        number=np.array([records, nodes, 0], np.int64),
        money=np.array([0.0, 0.0, float(land.penalty.sum())]),
        need=np.zeros(4, np.int64),
        try_counts=np.zeros(most, np.int64),
        counts=np.zeros(most, np.int64),
        left=np.zeros(land.site_limit.shape[1]),
    )


@njit(cache=True, nogil=True)
def node_load(s: Plan, cell: int, domain: int) -> float:
    """What a domain puts on a cell (or sends out of a site)."""
    k = s.node_head[cell]
    while k >= 0:
        if s.node_domain[k] == domain:
            return float(s.node_load[k])
        k = s.node_next[k]
    return 0.0


@njit(cache=True, nogil=True)
def change_node(s: Plan, cell: int, domain: int, load: float, into: float) -> float:
    """Add to what a domain puts on a cell, and forget it at nothing; what it is then."""
    before = -1
    k = s.node_head[cell]
    while k >= 0 and s.node_domain[k] != domain:
        before, k = k, s.node_next[k]
    if k < 0:
        s.number[1] -= 1
        k = s.node_free[s.number[1]]
        s.node_domain[k] = domain
        s.node_load[k] = 0.0
        s.node_in[k] = 0.0
        s.node_next[k] = s.node_head[cell]
        s.node_head[cell] = k
        before = -1
    s.node_load[k] += load
    s.node_in[k] += into
    now = s.node_load[k]
    if now <= TINY and s.node_in[k] <= TINY and load <= 0.0:
        if before < 0:
            s.node_head[cell] = s.node_next[k]
        else:
            s.node_next[before] = s.node_next[k]
        s.node_free[s.number[1]] = k
        s.number[1] += 1
        return 0.0
    return float(now)


@njit(cache=True, nogil=True)
def put_load(g: Land, s: Plan, i: int, domain: int, pair: int, share: float) -> None:
    """Let the accounts carry `share` (negative: no longer) of row i."""
    t = g.row_slice[i]
    if domain < 0:
        b = g.pair_block[pair]
        s.load[b, t] += g.pair_load[pair] * share
        s.money[1] += g.pair_usd[pair] * share
        p = g.block_site[b]
        s.sent[p, t] += g.out_mbps[i] * share
        s.received[p, t] += g.in_mbps[i] * share
        return
    b = g.backup_block[pair]
    cell = b * g.slices + t
    more = g.backup_load[pair] * share
    old = s.peak[b, t]
    now = change_node(s, cell, domain, more, 0.0)
    if more >= 0.0:
        s.peak[b, t] = max(old, now)
    elif now - more >= old - TINY:
        top = 0.0
        k = s.node_head[cell]
        while k >= 0:
            top = max(top, s.node_load[k])
            k = s.node_next[k]
        s.peak[b, t] = top
    p = g.block_site[b]
    if g.tight[p]:
        link = (len(g.block_site) + p) * g.slices + t
        change_node(s, link, domain, g.out_mbps[i] * share, g.in_mbps[i] * share)


@njit(cache=True, nogil=True)
def add_record(g: Land, s: Plan, i: int, domain: int, pair: int, share: float) -> int:
    """Enter a record."""
    s.number[0] -= 1
    k = s.record_free[s.number[0]]
    s.record_row[k] = i
    s.record_domain[k] = domain
    s.record_pair[k] = pair
    s.record_share[k] = share
    s.record_next[k] = s.row_head[i]
    s.row_head[i] = k
    b = g.pair_block[pair] if domain < 0 else g.backup_block[pair]
    head = s.block_head[b]
    s.record_up[k] = -1
    s.record_down[k] = head
    if head >= 0:
        s.record_up[head] = k
    s.block_head[b] = k
    put_load(g, s, i, domain, pair, share)
    return int(k)


@njit(cache=True, nogil=True)
def drop_row(g: Land, s: Plan, i: int) -> None:
    """Take all records of a row out; it is then unserved."""
    k = s.row_head[i]
    while k >= 0:
        domain, pair = s.record_domain[k], s.record_pair[k]
        b = g.pair_block[pair] if domain < 0 else g.backup_block[pair]
        up, down = s.record_up[k], s.record_down[k]
        if up >= 0:
            s.record_down[up] = down
        else:
            s.block_head[b] = down
        if down >= 0:
            s.record_up[down] = up
        put_load(g, s, i, domain, pair, -s.record_share[k])
        s.record_free[s.number[0]] = k
        s.number[0] += 1
        k = s.record_next[k]
    s.row_head[i] = -1
    set_unserved(g, s, i, 1.0)


@njit(cache=True, nogil=True)
def set_unserved(g: Land, s: Plan, i: int, share: float) -> None:
    s.money[2] += g.penalty[i] * (share - s.unserved[i])
    s.unserved[i] = share
