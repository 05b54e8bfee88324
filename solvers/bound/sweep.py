"""One sweep of the relaxation: the best integer configuration of every site at given prices.

With prices π (demand), μ (network), ρ (limit rows) and ν (budget) the sites fall apart. At one site

    profit_p = Σ_units max_G [ F(G) − C(G) ] − (1 + ν)·open_usd_p + μ_p·(uplink, downlink)
    F(G) = Σ_parts max Σ_groups max_{b of the group} V_b(y)  over Σ quarters·y ≤ 4·G
    V_b(y) = Σ_t max Σ_n (π_i − (1 + ν)·pair_usd − μ·mbps)·x_n − (1 + ν)·replica_usd·y,
             Σ_n pair_load·x_n ≤ capacity_factor·y, 0 ≤ x ≤ 1

and L = Σ_i min(π_i, unserved_i) − Σ_p max(0, profit_p) − ρ·limit_rhs − ν·budget. Rounding cuts change the gain of some
pairs, the price of some replicas, and L by a constant (`solvers.bound.cuts`).
A unit has one part, or one a slice where replicas follow the slices: the same GPUs are packed anew in each (a block
that stands in all slices beside such replicas costs its part of a replica in each).
Relaxed besides: the rows of (6) above "all", a demand row served by several blocks of one site,
and (7, 8) between units.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.blocks import TINY, fill_shares, fill_value, sort_first
from solvers.bound.gain import Facts, Prices, gain_of
from solvers.bound.layout import Structure
from solvers.bound.packing import convolve
from solvers.bound.prune import at_most
from solvers.bound.servers import enumerate_costs, kind_price

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]


class Room(NamedTuple):
    """Sizes of the work space of one unit, the largest over all."""

    table_first: Int  # U + 1: server tables
    best_first: Int  # U + 1: counts of the tables, GPUs × kinds
    pairs: int
    cells: int
    groups: int
    width: int


class Scratch(NamedTuple):
    """Work space of one thread."""

    density: Float  # of what one unit may earn from, dearest first within a cell
    item: Int32  # along with `density`: the slot that it is
    load: Float  # by slot
    pair: Int32  # by slot: position in the structure's pair order
    member_cell: Int  # members + 1: where the cells of a member begin
    cell_first: Int  # by cell: where its pairs begin
    cell_sorted: Int  # and where those that are sorted end
    value: Float  # V_b
    f: Float  # best value by width, before and after a group
    spare: Float
    total: Float  # f summed over the parts of a unit
    pick: Int32  # groups × width: replicas
    label: Int32  # groups × width: member
    most: Float  # the best V_b of a group by replicas
    winner: Int32  # and whose it is
    reach: Int  # after a group


class Tables(NamedTuple):
    """Server costs of every unit (`enumerate_costs`), and the prices they were made with."""

    cost: Float
    servers: Int32
    made_with: Float  # O
    most: Int  # U


class Answer(NamedTuple):
    """What a sweep finds; site p owns its own stretch of the pair arrays."""

    profit: Float  # P; below 0 an upper bound unless the sweep was told to be exact
    replicas: Int  # B
    servers: Int  # O
    item: Int32  # N: position in the structure's pair order
    share: Float32  # N
    item_first: Int  # P + 1
    item_count: Int  # P


@njit(cache=True, nogil=True)
def price_servers(s: Structure, facts: Facts, prices: Prices, room: Room, tables: Tables, unit: int, site: int) -> None:
    """Renew the table of `unit` when a price of its offers has moved."""
    k0, k1 = s.kind_first[unit], s.kind_first[unit + 1]
    moved = False
    for at in range(s.offer_first[k0], s.offer_first[k1]):
        o = s.offers[at]
        if tables.made_with[o] != prices.offer[o]:
            moved = True
            tables.made_with[o] = prices.offer[o]
    if not moved and tables.most[unit] >= 0:
        return
    kinds = k1 - k0
    step_first = np.zeros(kinds + 1, np.int64)
    for k in range(kinds):
        step_first[k + 1] = step_first[k] + s.kind_ceiling[k0 + k] + 1
    steps = np.zeros(step_first[kinds])
    for k in range(kinds):
        a, b = s.offer_first[k0 + k], s.offer_first[k0 + k + 1]
        usd = prices.offer[s.offers[a:b]]
        order = np.argsort(usd, kind="mergesort")
        ordered, maxima = usd[order], facts.offer_max[s.offers[a:b]][order]
        for c in range(1, s.kind_ceiling[k0 + k] + 1):
            steps[step_first[k] + c] = kind_price(c, ordered, maxima, 0, b - a)
    t0, t1 = room.table_first[unit], room.table_first[unit + 1]
    best = np.zeros((t1 - t0, max(kinds, 1)), np.int64)
    tables.most[unit] = enumerate_costs(
        s.kind_gpus[k0:k1], s.kind_use[k0:k1], s.kind_ceiling[k0:k1], facts.site_limit[site], steps, step_first,
        tables.cost[t0:t1], best,
    )  # fmt: skip
    at = room.best_first[unit]
    for g in range(t1 - t0):
        for k in range(kinds):
            tables.servers[at + g * kinds + k] = best[g, k]


@njit(cache=True, nogil=True)
def collect(
    s: Structure, facts: Facts, prices: Prices, site: int, m: int, scratch: Scratch, pairs: int, cells: int, top: int
) -> tuple[int, int]:
    """Put what earns something on member `m` behind `pairs` and `cells`, dearest per replica first within a cell.

    Returns the ends of the pairs and of the cells that have any. In a cell, as much as `top` replicas could carry comes
    first and is sorted.
    Slots pairs, pairs + 1, … are filled: `density` (USD per replica) and `item` (the slot) are sorted together, `load`
    (replicas) and `pair` stay where they are. Whatever else earns by the replica is one more slot, appended before
    the sort, with room for it counted in `Room.pairs`; if it is no pair, its `pair` must be below 0: then it takes room
    and writes no share.
    """
    b, alone = s.members[m], s.member_slice[m]
    room = facts.capacity * top * (1.0 + 1e-9)
    cell_slice, cell_first = s.cell_slice, s.cell_first  # out of their tuples: in the loop that would count references
    demand_usd, pair_demand, pair_usd, pair_load = prices.demand, s.pair_demand, s.pair_usd, s.pair_load
    slot_first, slot_pair, slot_usd = prices.slot_first, prices.slot_pair, prices.slot_usd
    uplink, downlink, paid = prices.uplink, prices.downlink, prices.paid
    out_mbps, in_mbps = facts.out_mbps, facts.in_mbps
    density, load, pair, item = scratch.density, scratch.load, scratch.pair, scratch.item
    first, sorted_to = scratch.cell_first, scratch.cell_sorted
    wired = uplink.shape[1] if prices.network else 0
    end = pairs
    for cell in range(s.block_cell[b], s.block_cell[b + 1]):
        t = cell_slice[cell]
        if alone >= 0 and alone != t:
            continue
        at = end
        slot, slots = slot_first[cell], slot_first[cell + 1]
        up, down = 0.0, 0.0
        if t < wired:
            up, down = uplink[site, t], downlink[site, t]
        for j in range(cell_first[cell], cell_first[cell + 1]):
            i = pair_demand[j]
            gain = gain_of(demand_usd[i], paid, pair_usd[j], up, out_mbps[i], down, in_mbps[i])
            if slot < slots and slot_pair[slot] == j:
                gain -= slot_usd[slot]
                slot += 1
            if gain > 0.0:
                density[end] = gain / max(pair_load[j], TINY)
                load[end] = pair_load[j]
                pair[end] = j
                item[end] = end
                end += 1
        if end > at:
            first[cells] = at
            sorted_to[cells] = sort_first(density, item, load, at, end, room)
            cells += 1
    return end, cells


@njit(cache=True, nogil=True)
def value_block(
    s: Structure, facts: Facts, prices: Prices, scratch: Scratch, m: int, first: int, last: int, top: int
) -> int:
    """Write V_b(0..) of member `m`, whose cells first..last-1 are collected, to `scratch.value`.

    Returns the count beyond which it never grows.
    """
    b = s.members[m]
    each = prices.replica[b] * s.member_cost[m]
    most = min(top, s.block_max[b])
    stands, steps = int(prices.stand_first[b]), int(prices.stand_first[b + 1] - prices.stand_first[b])
    if most <= 0 or (each >= 0.0 and steps == 0 and first == last):
        return 0
    value = scratch.value
    for y in range(most + 1):
        value[y] = 0.0
    filled: int = 0
    for c in range(first, last):
        a, e = scratch.cell_first[c], scratch.cell_sorted[c]
        filled = max(filled, fill_value(scratch.density, scratch.load, scratch.item, a, e, facts.capacity, most, value))
    filled = most if each < 0.0 else max(filled, min(most, steps))
    if steps > 0:
        for y in range(1, filled + 1):
            value[y] += prices.stand_usd[stands + min(y, steps) - 1]
    if each != 0.0:
        for y in range(1, filled + 1):
            value[y] -= each * y
    return filled


@njit(cache=True, nogil=True)
def solve_unit(
    s: Structure, facts: Facts, prices: Prices, room: Room, tables: Tables, unit: int, site: int, scratch: Scratch
) -> tuple[float, int]:
    """Best profit of one unit before opening the site, and the width of its DP (-1: nothing pays)."""
    quantum = s.unit_quantum[unit]
    gpus = min(tables.most[unit], room.table_first[unit + 1] - room.table_first[unit] - 1)
    width = 4 * gpus // quantum
    g0 = s.group_first[s.part_first[unit]]
    m0 = s.member_first[g0]
    total = scratch.total
    total[0] = 0.0
    pairs = cells = reach = 0
    for part in range(s.part_first[unit], s.part_first[unit + 1]):
        pairs, cells, grown, last = pack_part(
            s, facts, prices, room, part, site, width, g0, m0, quantum, pairs, cells, scratch
        )
        f = scratch.f if last == 0 else scratch.spare
        upto = max(reach, grown)
        for w in range(upto, -1, -1):
            total[w] = total[min(w, reach)] + f[min(w, grown)]
        reach = upto
    best_profit, best_width = 0.0, -1
    t0 = room.table_first[unit]
    for gpu in range(1, gpus + 1):
        w = min(4 * gpu // quantum, reach)
        profit = total[w] - tables.cost[t0 + gpu]
        if profit > best_profit:
            best_profit, best_width = profit, w
        if w == reach:
            break
    return best_profit, best_width


@njit(cache=True, nogil=True)
def pack_part(
    s: Structure, facts: Facts, prices: Prices, room: Room, part: int, site: int, width: int, g0: int, m0: int,
    quantum: int, pairs: int, cells: int, scratch: Scratch,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Best value of one part by width; the end of its pairs and cells, its widest useful width, and 1 if in `spare`.

    `pairs` and `cells` are where its own begin, g0 and m0 are the first group and member of its unit.
    """
    stride = room.width + 1
    old, new = scratch.f, scratch.spare
    old[0] = 0.0
    reach = swaps = 0
    for g in range(s.group_first[part], s.group_first[part + 1]):
        weight = s.group_quarters[g] // quantum
        row = (g - g0) * stride
        pick, label = scratch.pick[row : row + stride], scratch.label[row : row + stride]
        upto, top = 0, width // weight
        for m in range(s.member_first[g], s.member_first[g + 1]):
            first, b = cells, s.members[m]
            scratch.member_cell[m - m0] = cells
            pairs, cells = collect(s, facts, prices, site, m, scratch, pairs, cells, min(top, s.block_max[b]))
            scratch.member_cell[m - m0 + 1] = cells
            most = value_block(s, facts, prices, scratch, m, first, cells, top)
            for y in range(1, most + 1):
                if y > upto or scratch.value[y] > scratch.most[y]:
                    scratch.most[y] = scratch.value[y]
                    scratch.winner[y] = m
            upto = max(upto, most)
        grown = min(width, reach + upto * weight)
        for w in range(reach + 1, grown + 1):
            old[w] = old[reach]
        reach = grown
        convolve(old, new, scratch.most, upto, weight, reach, pick)
        for w in range(reach + 1):
            label[w] = scratch.winner[pick[w]]
        scratch.reach[g - g0] = reach
        old, new = new, old
        swaps += 1
    return pairs, cells, reach, swaps % 2


@njit(cache=True, nogil=True)
def write_unit(
    s: Structure, facts: Facts, room: Room, tables: Tables, prices: Prices, answer: Answer, unit: int, site: int,
    w: int, scratch: Scratch,
) -> None:  # fmt: skip
    """Read the best configuration of width `w` back into `answer`."""
    quantum = s.unit_quantum[unit]
    gpus = (w * quantum + 3) // 4
    g0 = s.group_first[s.part_first[unit]]
    m0 = s.member_first[g0]
    stride = room.width + 1
    count = answer.item_count[site]
    base = answer.item_first[site]
    for part in range(s.part_first[unit], s.part_first[unit + 1]):
        left = w
        for g in range(s.group_first[part + 1] - 1, s.group_first[part] - 1, -1):
            left = min(left, scratch.reach[g - g0])
            y = scratch.pick[(g - g0) * stride + left]
            if y == 0:
                continue
            m = scratch.label[(g - g0) * stride + left]
            left -= y * (s.group_quarters[g] // quantum)
            answer.replicas[s.members[m]] = max(y, answer.replicas[s.members[m]])
            for cell in range(scratch.member_cell[m - m0], scratch.member_cell[m - m0 + 1]):
                count = fill_shares(
                    scratch.load, scratch.pair, scratch.item, scratch.cell_first[cell], scratch.cell_sorted[cell],
                    facts.capacity * y, answer.item[base:], answer.share[base:], count,
                )  # fmt: skip
    answer.item_count[site] = count
    k0, k1 = s.kind_first[unit], s.kind_first[unit + 1]
    for k in range(k0, k1):
        more = tables.servers[room.best_first[unit] + gpus * (k1 - k0) + k - k0]
        a, b = s.offer_first[k], s.offer_first[k + 1]
        order = np.argsort(prices.offer[s.offers[a:b]], kind="mergesort")
        for rank in range(b - a):
            o = s.offers[a + order[rank]]
            take = min(more, facts.offer_max[o])
            answer.servers[o] = take
            more -= take


@njit(cache=True, nogil=True)
def sweep_sites(
    s: Structure, facts: Facts, prices: Prices, room: Room, tables: Tables, answer: Answer, first: int, last: int,
    exact: bool,
) -> None:  # fmt: skip
    """Solve sites first..last-1 and write their part of `answer`; profits below 0 are upper bounds unless `exact`."""
    rows = (room.groups + 1) * (room.width + 1)
    scratch = Scratch(
        np.empty(room.pairs), np.empty(room.pairs, np.int32), np.empty(room.pairs), np.empty(room.pairs, np.int32),
        np.empty(room.groups + 1, np.int64), np.empty(room.cells + 1, np.int64), np.empty(room.cells + 1, np.int64),
        np.empty(room.width + 2), np.empty(room.width + 2), np.empty(room.width + 2), np.empty(room.width + 2),
        np.empty(rows, np.int32),
        np.empty(rows, np.int32), np.empty(room.width + 2), np.zeros(room.width + 2, np.int32),
        np.empty(room.groups + 1, np.int64),
    )  # fmt: skip
    part_of, gained = np.empty(facts.slices), np.empty(facts.slices)
    for p in range(first, last):
        close_site(s, answer, p)
        profit = rent(facts, prices, p)
        if not exact:
            most = profit
            for unit in range(s.unit_first[p], s.unit_first[p + 1]):
                most += at_most(s, facts, prices, unit, p, part_of, gained)
            if most <= 0.0:
                answer.profit[p] = most
                continue
        for unit in range(s.unit_first[p], s.unit_first[p + 1]):
            price_servers(s, facts, prices, room, tables, unit, p)
            earned, w = solve_unit(s, facts, prices, room, tables, unit, p, scratch)
            if w >= 0:
                profit += earned
                write_unit(s, facts, room, tables, prices, answer, unit, p, w, scratch)
        answer.profit[p] = profit
        if profit <= 0.0:
            answer.item_count[p] = 0


@njit(cache=True, nogil=True)
def close_site(s: Structure, answer: Answer, site: int) -> None:
    """Write that nothing stands and nothing is served at `site`."""
    answer.item_count[site] = 0
    for unit in range(s.unit_first[site], s.unit_first[site + 1]):
        g0, g1 = s.group_first[s.part_first[unit]], s.group_first[s.part_first[unit + 1]]
        for m in range(s.member_first[g0], s.member_first[g1]):
            answer.replicas[s.members[m]] = 0
        for at in range(s.offer_first[s.kind_first[unit]], s.offer_first[s.kind_first[unit + 1]]):
            answer.servers[s.offers[at]] = 0


@njit(cache=True, nogil=True)
def rent(facts: Facts, prices: Prices, site: int) -> float:
    """What an open site earns before it serves anything: its wires at their prices, less what opening costs."""
    usd = -prices.paid * facts.open_usd[site]
    if prices.network:
        for t in range(prices.uplink.shape[1]):
            if prices.uplink[site, t] > 0.0:
                usd += prices.uplink[site, t] * facts.uplink[site]
            if prices.downlink[site, t] > 0.0:
                usd += prices.downlink[site, t] * facts.downlink[site]
    return float(usd)
