"""One failure domain at a time: what it loses, and where the survivors can take it (13), compiled.

A *cell* is a (block, slice). `room` is what the primaries leave of every cell and link; while a domain is being routed
it is drawn from, and put back afterwards, so that every domain finds the same reserve.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

EPS = 1e-12
"""Shares and rooms below this are nothing."""


class Field(NamedTuple):
    """What the kernels read of the problem and its backup pairs."""

    block_site: Int  # B
    demand_slice: Int  # I
    out_mbps: Float  # I
    in_mbps: Float  # I
    first: Int  # I + 1: backup pairs of a row
    pair_block: Int  # Z
    pair_load: Float  # Z
    pair_demand: Int  # Z
    domain_site: Bool  # E × P


class Ways(NamedTuple):
    """Backup pairs that routes may use, by row: all of them, or those on blocks that stand."""

    first: Int  # I
    last: Int  # I
    pair: NDArray[np.int32]


class Room(NamedTuple):
    """Load that a cell can still take, and Mbit/s of every link; `now` is what is left while a domain is routed."""

    standing: Int  # B: replicas
    load: Float  # B × T
    load_now: Float
    up: Float  # P × T
    up_now: Float
    down: Float  # P × T
    down_now: Float


class Loss(NamedTuple):
    """What the primaries of every site serve: position in `row`, `share` by site."""

    first: Int  # P + 1
    row: Int
    share: Float


class Route(NamedTuple):
    """Work space: the backup of the domain at hand. Entry k gives `share[k]` of a row to the backup pair `pair[k]`."""

    rows: Int  # I: rows that the domain loses
    left: Float  # I: of every row, not yet taken over
    pair: Int
    share: Float
    next: Int  # the next entry in the same cell
    head: Int  # B·T: the last entry in a cell, -1
    pressure: Float  # B·T
    flexible: Float  # I
    number: Int  # [0] rows, [1] entries


@njit(cache=True, nogil=True)
def lose(f: Field, loss: Loss, domain: int, route: Route) -> None:
    """Collect what fails with the domain of rows that somebody else could take; forget the domain before."""
    number = route.number
    fails = f.domain_site[domain]
    for k in range(number[0]):
        route.left[route.rows[k]] = 0.0
    number[0] = 0
    number[1] = 0
    for p in range(len(fails)):
        if not fails[p]:
            continue
        for j in range(loss.first[p], loss.first[p + 1]):
            i = loss.row[j]
            if route.left[i] == 0.0:
                able = False
                for z in range(f.first[i], f.first[i + 1]):
                    if not fails[f.block_site[f.pair_block[z]]]:
                        able = True
                        break
                if not able:
                    continue
                route.rows[number[0]] = i
                number[0] += 1
            route.left[i] += loss.share[j]


@njit(cache=True, nogil=True)
def fits(f: Field, room: Room, i: int, z: int) -> float:
    """The share of row i that backup pair z can still take."""
    b = f.pair_block[z]
    if room.standing[b] == 0:
        return 0.0
    most = linked(f, room, i, z)
    a = f.pair_load[z]
    return min(most, room.load_now[b, f.demand_slice[i]] / a) if a > 0.0 else most


@njit(cache=True, nogil=True)
def linked(f: Field, room: Room, i: int, z: int) -> float:
    """The share of row i that the links of the site of backup pair z can still take."""
    t = f.demand_slice[i]
    p = f.block_site[f.pair_block[z]]
    most = 1.0
    if f.out_mbps[i] > 0.0:
        most = min(most, room.up_now[p, t] / f.out_mbps[i])
    if f.in_mbps[i] > 0.0:
        most = min(most, room.down_now[p, t] / f.in_mbps[i])
    return most


@njit(cache=True, nogil=True)
def draw(f: Field, room: Room, i: int, z: int, share: float) -> None:
    """Take the room of `share` (negative: put it back)."""
    b, t = f.pair_block[z], f.demand_slice[i]
    p = f.block_site[b]
    room.load_now[b, t] -= share * f.pair_load[z]
    room.up_now[p, t] -= share * f.out_mbps[i]
    room.down_now[p, t] -= share * f.in_mbps[i]


@njit(cache=True, nogil=True)
def enter(f: Field, room: Room, route: Route, i: int, z: int, share: float) -> None:
    """Let backup pair z take `share` of row i."""
    draw(f, room, i, z, share)
    k = route.number[1]
    cell = f.pair_block[z] * room.load.shape[1] + f.demand_slice[i]
    route.pair[k] = z
    route.share[k] = share
    route.next[k] = route.head[cell]
    route.head[cell] = k
    route.number[1] += 1
    route.left[i] -= share
    if route.left[i] < EPS:
        route.share[k] += route.left[i]
        route.left[i] = 0.0


@njit(cache=True, nogil=True)
def weigh(f: Field, ways: Ways, room: Room, domain: int, route: Route) -> None:
    """How many ways every row that is left has, in `flexible`, and how much every cell is wanted, in `pressure`."""
    fails = f.domain_site[domain]
    slices = room.load.shape[1]
    for k in range(route.number[0]):
        i = route.rows[k]
        flexible = 0.0
        if route.left[i] <= 0.0:
            route.flexible[k] = np.inf
            continue
        for w in range(ways.first[i], ways.last[i]):
            z = ways.pair[w]
            b = f.pair_block[z]
            if not fails[f.block_site[b]]:
                flexible += min(max(fits(f, room, i, z), 0.0) / route.left[i], 1.0)
            route.pressure[b * slices + f.demand_slice[i]] = 0.0
        route.flexible[k] = flexible
    for k in range(route.number[0]):
        i = route.rows[k]
        if route.left[i] <= 0.0 or route.flexible[k] <= 0.0:
            continue
        for w in range(ways.first[i], ways.last[i]):
            z = ways.pair[w]
            b = f.pair_block[z]
            if not fails[f.block_site[b]]:
                part = min(max(fits(f, room, i, z), 0.0) / route.left[i], 1.0) / route.flexible[k]
                route.pressure[b * slices + f.demand_slice[i]] += part * route.left[i] * f.pair_load[z]


@njit(cache=True, nogil=True)
def fill(f: Field, ways: Ways, room: Room, domain: int, route: Route, worth: Float) -> float:
    """Route what is left to the cells least wanted; the share that stays.

    Rows with the fewest ways come first, or, where `worth` (I) is given, those of most worth.
    """
    weigh(f, ways, room, domain, route)
    fails = f.domain_site[domain]
    slices = room.load.shape[1]
    key = route.flexible[: route.number[0]].copy()
    if len(worth) > 0:
        for k in range(len(key)):
            key[k] = -worth[route.rows[k]]
    order = np.argsort(key, kind="mergesort")
    total = 0.0
    for at in range(len(order)):
        i = route.rows[order[at]]
        t = f.demand_slice[i]
        while route.left[i] > 0.0:
            best, chosen, most = np.inf, -1, 0.0
            for w in range(ways.first[i], ways.last[i]):
                z = ways.pair[w]
                b = f.pair_block[z]
                can = 0.0 if fails[f.block_site[b]] else fits(f, room, i, z)
                if can <= EPS:
                    continue
                wanted = route.pressure[b * slices + t] / max(room.load_now[b, t], EPS)
                wanted += 10.0 * max(1.0 - can / route.left[i], 0.0)
                if wanted < best:
                    best, chosen, most = wanted, z, can
            if chosen < 0:
                break
            enter(f, room, route, i, chosen, min(most, route.left[i]))
        total += route.left[i]
    return total


@njit(cache=True, nogil=True)
def collect_ways(f: Field, room: Room, domain: int, route: Route, ways: Ways) -> None:
    """Write to `ways` the backup pairs of the rows that are left, as far as they stand and survive."""
    fails = f.domain_site[domain]
    end = 0
    for k in range(route.number[0]):
        i = route.rows[k]
        ways.first[i] = end
        if route.left[i] > 0.0:
            for z in range(f.first[i], f.first[i + 1]):
                b = f.pair_block[z]
                if room.standing[b] > 0 and not fails[f.block_site[b]]:
                    ways.pair[end] = z
                    end += 1
        ways.last[i] = end


@njit(cache=True, nogil=True)
def begin(room: Room, f: Field, route: Route) -> None:
    """Put back the room that the last domain took."""
    slices = room.load.shape[1]
    for k in range(route.number[1]):
        z = route.pair[k]
        b = f.pair_block[z]
        p = f.block_site[b]
        t = f.demand_slice[f.pair_demand[z]]
        room.load_now[b, t] = room.load[b, t]
        room.up_now[p, t] = room.up[p, t]
        room.down_now[p, t] = room.down[p, t]
        route.head[b * slices + t] = -1
    route.number[1] = 0


@njit(cache=True, nogil=True)
def eject(f: Field, ways: Ways, room: Room, domain: int, route: Route, tries: int) -> float:
    """Make room for rows that are left by sending others, which can go elsewhere, there; the share that stays."""
    fails = f.domain_site[domain]
    slices = room.load.shape[1]
    total = 0.0
    for at in range(route.number[0]):
        i = route.rows[at]
        if route.left[i] <= 0.0:
            continue
        t = f.demand_slice[i]
        for w in range(ways.first[i], ways.last[i]):
            z = ways.pair[w]
            b = f.pair_block[z]
            if tries <= 0 or route.left[i] <= 0.0:
                break
            if fails[f.block_site[b]] or room.standing[b] == 0:
                continue
            k = route.head[b * slices + t]
            while k >= 0 and route.left[i] > 0.0:
                after = route.next[k]
                tries -= 1
                if tries <= 0:
                    break
                move_away(f, ways, room, fails, route, k, i, z)
                can = min(fits(f, room, i, z), route.left[i])
                if can > EPS:
                    enter(f, room, route, i, z, can)
                k = after
        total += route.left[i]
    return total


@njit(cache=True, nogil=True)
def move_away(f: Field, ways: Ways, room: Room, fails: Bool, route: Route, k: int, i: int, z: int) -> None:
    """Send entry k elsewhere, as much of it as row i wants on backup pair z."""
    old = route.pair[k]
    j = f.pair_demand[old]
    if route.share[k] <= EPS or j == i:
        return
    wanted = route.left[i] * f.pair_load[z] - room.load_now[f.pair_block[z], f.demand_slice[i]]
    if wanted <= 0.0 or f.pair_load[old] <= 0.0:
        return
    for w in range(ways.first[j], ways.last[j]):
        other = ways.pair[w]
        b = f.pair_block[other]
        if other == old or fails[f.block_site[b]] or b == f.pair_block[z]:
            continue
        share = min(route.share[k], wanted / f.pair_load[old], fits(f, room, j, other))
        if share <= EPS:
            continue
        route.share[k] -= share
        draw(f, room, j, old, -share)
        route.left[j] += share
        enter(f, room, route, j, other, share)
        wanted -= share * f.pair_load[old]
        if wanted <= 0.0 or route.share[k] <= EPS:
            return


@njit(cache=True, nogil=True)
def cover(
    f: Field, room: Room, domain: int, route: Route, may: Int, quarters: Int, usd: Float, value: Float, load: Float,
    touched: Int, seen: Bool, least: Float, networked: bool,
) -> tuple[int, float, float]:  # fmt: skip
    """Add up, by cell, the load of what is left and its value: the least quarters that it could be carried by.

    `may` is how many replicas a block could have more; `touched` lists the blocks; `least` (I) keeps what a row weighs,
    0 where that is not known yet. Returns how many they are, the
    value of all that is left, and what not serving it would cost.
    """
    fails = f.domain_site[domain]
    number = 0
    total = unserved = 0.0
    for k in range(route.number[0]):
        i = route.rows[k]
        left = route.left[i]
        if left <= 0.0:
            continue
        t = f.demand_slice[i]
        if least[i] == 0.0:
            least[i] = np.inf
            for z in range(f.first[i], f.first[i + 1]):
                b = f.pair_block[z]
                if not fails[f.block_site[b]]:
                    least[i] = min(least[i], f.pair_load[z] * quarters[b])
            least[i] = max(least[i], 1e-6)
        total += left * least[i]
        unserved += left * usd[i]
        for z in range(f.first[i], f.first[i + 1]):
            b = f.pair_block[z]
            if may[b] <= 0 or fails[f.block_site[b]] or (networked and linked(f, room, i, z) <= EPS):
                continue
            if not seen[b]:
                seen[b] = True
                touched[number] = b
                number += 1
            value[b, t] += left * least[i]
            load[b, t] += left * f.pair_load[z]
    return number, total, unserved
