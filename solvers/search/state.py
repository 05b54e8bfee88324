"""The plan while it is being searched: per site a list of served pairs, replicas, servers and what they cost."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.chance import Random, new_random
from solvers.search.ground import Ground, Sizes

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]

EPS = 1e-9
MOST_SITES = 16
"""Sites in one neighbourhood."""


class State(NamedTuple):
    """Site p owns item[item_first[p] : item_first[p] + length[p]] (pairs) and the shares beside them."""

    item: Int32  # N
    share: Float  # N
    length: Int  # P
    replicas: Int  # B
    servers: Int  # O
    usd: Float  # P: open, servers, replicas and pairs; 0 where closed
    open: NDArray[np.bool_]  # P


class Work(NamedTuple):
    """What one thread writes: its share of the residual demand, prices and scratch."""

    left: Float  # I: residual demand this thread may serve
    price: Float  # I
    member: Int32  # I: rows with left > EPS
    place: Int32  # I: position in `member`, -1
    number: Int  # [0] rows in member, [1] picks, [2] sites in the neighbourhood, [3] accepted, [4] tried
    random: Random
    used: Float  # L: limit rows in use as this thread sees them
    room: Float  # L: what this thread may use
    money: Float  # [0] paid now, [1] what may be paid, [2] what a replica beyond those of `stood` has to save
    temper: Float  # [0] share of moves that leap to the last price (many sites: 0), [1] what prices are multiplied by
    stood: Int  # B: replicas of the plan that was given
    density: Float
    scratch: Float
    load: Float
    pair: Int32
    cell: Int32
    order: Int32
    cell_first: Int
    excluded: Int32  # blocks of a site
    value: Float
    winner: Int32
    block_value: Float
    f: Float  # (teams + parts) × width: best value before the first team of a part and after each
    stride: Int  # [0] length of a row of f
    profile: Float  # the last rows of all parts added up
    shift: Int  # by part: quanta that it has free where the fullest part has none
    part_reach: Int
    value_first: Int  # by (team, size): stretch of `value`
    size_weight: Int
    team_size: Int  # teams + 1
    reach: Int  # by team
    pick_block: Int
    pick_count: Int
    table: Float
    counts: Int
    try_counts: Int
    need: Int
    spare: Float
    chosen: Int  # sites of the neighbourhood
    sequence: Int
    score: Float  # P
    touched: Int32  # P
    lots: Float
    saved_item: Int32
    saved_share: Float
    saved_first: Int
    saved_usd: Float
    saved_open: NDArray[np.bool_]
    saved_replicas: Int
    saved_servers: Int


def empty_state(ground: Ground) -> State:
    pairs, sites = len(ground.pair_load), len(ground.open_usd)
    return State(
        np.zeros(pairs, np.int32),
        np.zeros(pairs),
        np.zeros(sites, np.int64),
        np.zeros(len(ground.block_unit), np.int64),
        np.zeros(len(ground.offer_usd), np.int64),
        np.zeros(sites),
        np.zeros(sites, np.bool_),
    )


def new_work(ground: Ground, sizes: Sizes) -> Work:
    rows, sites = len(ground.penalty), len(ground.open_usd)
    limits = len(ground.limit_rhs)
    per_site = np.sort(np.diff(ground.item_first))[::-1]
    values = (sizes.cells + 2) * (sizes.width + 2)
    saved = int(per_site[:MOST_SITES].sum()) + 1
    blocks = int(np.sort(np.diff(ground.block_first))[::-1][:MOST_SITES].sum()) + 1
    offers = int(np.sort(np.diff(ground.site_offer))[::-1][:MOST_SITES].sum()) + 1
    most_offers = int(np.diff(ground.site_offer).max(initial=0)) + 1
    return Work(
        left=np.zeros(rows),
        price=np.zeros(rows),
        member=np.zeros(rows, np.int32),
        place=np.full(rows, -1, np.int32),
        number=np.zeros(8, np.int64),
        random=new_random(0),
        used=np.zeros(limits),
        room=np.zeros(limits),
        money=np.zeros(3),
        temper=np.array([0.0, 1.0]),
        stood=np.zeros(len(ground.block_unit), np.int64),
        density=np.zeros(sizes.pairs),
        scratch=np.zeros(sizes.pairs),
        load=np.zeros(sizes.pairs),
        pair=np.zeros(sizes.pairs, np.int32),
        cell=np.zeros(sizes.pairs, np.int32),
        order=np.zeros(sizes.pairs, np.int32),
        cell_first=np.zeros(sizes.cells + 2, np.int64),
        excluded=np.zeros(sizes.cells + 2, np.int32),
        value=np.zeros(values),
        winner=np.zeros(values, np.int32),
        block_value=np.zeros(sizes.width + 2),
        f=np.zeros((sizes.teams + 2) * (sizes.width + 2)),
        stride=np.full(1, sizes.width + 2, np.int64),
        profile=np.zeros(sizes.width + 2),
        shift=np.zeros(max(ground.slices, 1), np.int64),
        part_reach=np.zeros(max(ground.slices, 1), np.int64),
        value_first=np.zeros(sizes.cells + 3, np.int64),
        size_weight=np.zeros(sizes.cells + 3, np.int64),
        team_size=np.zeros(sizes.teams + 2, np.int64),
        reach=np.zeros(sizes.teams + 1, np.int64),
        pick_block=np.zeros(sizes.cells + 2, np.int64),
        pick_count=np.zeros(sizes.cells + 2, np.int64),
        table=np.zeros(sizes.table + 1),
        counts=np.zeros(most_offers, np.int64),
        try_counts=np.zeros(most_offers, np.int64),
        need=np.zeros(4, np.int64),
        spare=np.zeros(ground.site_limit.shape[1] + limits),
        chosen=np.zeros(max(sites, MOST_SITES), np.int64),
        sequence=np.zeros(max(sites, MOST_SITES), np.int64),
        score=np.zeros(sites),
        touched=np.zeros(sites, np.int32),
        lots=np.zeros(MOST_SITES + 1),
        saved_item=np.zeros(saved, np.int32),
        saved_share=np.zeros(saved),
        saved_first=np.zeros(MOST_SITES + 1, np.int64),
        saved_usd=np.zeros(MOST_SITES),
        saved_open=np.zeros(MOST_SITES, np.bool_),
        saved_replicas=np.zeros(blocks, np.int64),
        saved_servers=np.zeros(offers, np.int64),
    )


@njit(cache=True, nogil=True)
def give(work: Work, i: int, share: float) -> None:
    """Return `share` of row i to the residual demand."""
    work.left[i] += share
    if work.place[i] < 0 and work.left[i] > EPS:
        work.place[i] = work.number[0]
        work.member[work.number[0]] = i
        work.number[0] += 1


@njit(cache=True, nogil=True)
def take(work: Work, i: int, share: float) -> None:
    """Serve `share` of row i."""
    work.left[i] -= share
    if work.left[i] <= EPS and work.place[i] >= 0:
        last = work.member[work.number[0] - 1]
        work.member[work.place[i]] = last
        work.place[last] = work.place[i]
        work.place[i] = -1
        work.number[0] -= 1


@njit(cache=True, nogil=True)
def use_limits(
    first: int, last: int, servers: Int, limit_first: Int, row: Int, value: Float, used: Float, sign: float
) -> None:
    """Add (or take back) what the servers of one site draw from the limit rows."""
    for o in range(first, last):
        if servers[o] > 0:
            for k in range(limit_first[o], limit_first[o + 1]):
                used[row[k]] += sign * value[k] * servers[o]


@njit(cache=True, nogil=True)
def release(g: Ground, state: State, work: Work, p: int) -> None:
    """Close site p: its demand goes back to the residual."""
    item, share, pair_demand, servers, replicas = state.item, state.share, g.pair_demand, state.servers, state.replicas
    base = g.item_first[p]
    for j in range(base, base + state.length[p]):
        give(work, pair_demand[item[j]], share[j])
    state.length[p] = 0
    first, last = g.site_offer[p], g.site_offer[p + 1]
    use_limits(first, last, servers, g.limit_first, g.limit_row, g.limit_value, work.used, -1.0)
    work.money[0] -= state.usd[p]
    state.usd[p] = 0.0
    state.open[p] = False
    for b in range(g.block_first[p], g.block_first[p + 1]):
        replicas[b] = 0
    for o in range(first, last):
        servers[o] = 0


@njit(cache=True, nogil=True)
def settle(g: Ground, state: State, work: Work, p: int) -> None:
    """Work out what site p costs after its lists were written, and enter it in the accounts."""
    item, share, pair_usd, servers, offer_usd = state.item, state.share, g.pair_usd, state.servers, g.offer_usd
    first, last = g.site_offer[p], g.site_offer[p + 1]
    usd = 0.0
    held = False
    for o in range(first, last):
        usd += servers[o] * offer_usd[o]
        held = held or servers[o] > 0
    base = g.item_first[p]
    for j in range(base, base + state.length[p]):
        usd += share[j] * pair_usd[item[j]]
    for b in range(g.block_first[p], g.block_first[p + 1]):
        usd += state.replicas[b] * g.replica_usd[b]
    if held:
        usd += g.open_usd[p]
    state.open[p] = held
    state.usd[p] = usd
    work.money[0] += usd
    use_limits(first, last, servers, g.limit_first, g.limit_row, g.limit_value, work.used, 1.0)


@njit(cache=True, nogil=True)
def save(g: Ground, state: State, work: Work) -> None:
    """Keep the sites of the neighbourhood as they are."""
    item, share, replicas, servers = state.item, state.share, state.replicas, state.servers
    saved_item, saved_share = work.saved_item, work.saved_share
    saved_replicas, saved_servers = work.saved_replicas, work.saved_servers
    items = blocks = offers = 0
    for c in range(work.number[2]):
        p = work.chosen[c]
        work.saved_first[c] = items
        work.saved_usd[c] = state.usd[p]
        work.saved_open[c] = state.open[p]
        base = g.item_first[p]
        for j in range(base, base + state.length[p]):
            saved_item[items] = item[j]
            saved_share[items] = share[j]
            items += 1
        for b in range(g.block_first[p], g.block_first[p + 1]):
            saved_replicas[blocks] = replicas[b]
            blocks += 1
        for o in range(g.site_offer[p], g.site_offer[p + 1]):
            saved_servers[offers] = servers[o]
            offers += 1
    work.saved_first[work.number[2]] = items


@njit(cache=True, nogil=True)
def restore(g: Ground, state: State, work: Work) -> None:
    """Put the saved sites back."""
    item, share, replicas, servers = state.item, state.share, state.replicas, state.servers
    saved_item, saved_share, pair_demand = work.saved_item, work.saved_share, g.pair_demand
    saved_replicas, saved_servers = work.saved_replicas, work.saved_servers
    for c in range(work.number[2]):
        release(g, state, work, work.chosen[c])
    blocks = offers = 0
    for c in range(work.number[2]):
        p = work.chosen[c]
        at = g.item_first[p]
        for j in range(work.saved_first[c], work.saved_first[c + 1]):
            item[at] = saved_item[j]
            share[at] = saved_share[j]
            take(work, pair_demand[saved_item[j]], saved_share[j])
            at += 1
        state.length[p] = at - g.item_first[p]
        state.usd[p] = work.saved_usd[c]
        state.open[p] = work.saved_open[c]
        work.money[0] += state.usd[p]
        for b in range(g.block_first[p], g.block_first[p + 1]):
            replicas[b] = saved_replicas[blocks]
            blocks += 1
        first, last = g.site_offer[p], g.site_offer[p + 1]
        for o in range(first, last):
            servers[o] = saved_servers[offers]
            offers += 1
        use_limits(first, last, servers, g.limit_first, g.limit_row, g.limit_value, work.used, 1.0)
