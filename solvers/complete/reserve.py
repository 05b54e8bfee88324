"""(13) More replicas and servers until every domain may fail, the cheapest first; what has no backup is not served.

A domain's rows that find no survivor are worth the least quarter GPUs they could be carried by. Replicas on idle GPUs
come first; then the server whose price buys most of that worth. A row that costs more to back up than to leave unserved
is left unserved, as far as it is lost.
"""

import numpy as np

from solvers.complete.draft import Draft
from solvers.complete.outage import cover
from solvers.complete.survival import Survival
from solvers.problem import Float, Int

NOTHING = 1e-11
"""A share that counts as none."""
PASSES = 8
AT_ONCE = 2
"""Servers bought for a model before the rest is looked at anew."""
UNITS = 24
"""(Site, GPU type)s looked at closely for a server, those that could take most first."""


def hold_reserve(draft: Draft, survival: Survival, patience: float) -> str:
    """Let the draft survive every domain; what is in the way in words, else "".

    `patience` is how many times what not serving would cost a server for the reserve may cost.
    """
    domains = survival.reserve.domains
    for _ in range(PASSES):
        left = np.zeros(domains)
        for domain in range(domains):
            left[domain] = survival.fail(domain)
            survival.keep(domain)
        short = np.flatnonzero(left > NOTHING)
        if not len(short):
            return ""
        given_up = False
        for domain in short[np.argsort(-left[short], kind="stable")].tolist():
            if survival.fail(domain) > NOTHING and extend(draft, survival, domain, patience) > NOTHING:
                survival.fail_dearest_first(domain)
                if message := give_up(draft, survival, domain):
                    return message
                survival.renew()
                given_up = True
                survival.fail(domain)
            survival.keep(domain)
        if not given_up:
            return ""
    return "(13) no reserve found that all domains share"


def extend(draft: Draft, survival: Survival, domain: int, patience: float) -> float:
    """Add what the domain at hand lacks; the share that nothing worth its price could take."""
    ask = _Ask(draft, survival, domain, patience)
    left = np.inf
    while left > NOTHING and ask.look():
        blocks = ask.add_free()
        if not blocks and not ask.buy():
            break
        before, left = left, survival.go_on(domain)
        if blocks and left >= before:
            ask.useless[blocks] = True
    return survival.squeeze(domain)


class _Ask:
    """What the rows left over ask of every block, and who can give it."""

    def __init__(self, draft: Draft, survival: Survival, domain: int, patience: float) -> None:
        self.draft, self.survival, self.domain, self.patience = draft, survival, domain, patience
        shape = survival.primary.shape
        self.value, self.load = np.zeros(shape), np.zeros(shape)
        self.touched, self.seen = np.zeros(shape[0], np.int64), np.zeros(shape[0], np.bool_)
        self.blocks = np.zeros(0, np.int64)
        problem = draft.problem
        self.least = np.zeros(problem.demands)
        self.networked = bool(np.isfinite(problem.uplink_mbps).any() or np.isfinite(problem.downlink_mbps).any())
        self.useless = np.zeros(shape[0], np.bool_)
        self.usd_per_value = 0.0

    def look(self) -> bool:
        """Add up what is asked; False when no block could have more replicas for it."""
        self.value[self.blocks] = 0.0
        self.load[self.blocks] = 0.0
        self.seen[self.blocks] = False
        draft = self.draft
        self.may = draft.may_add()
        self.may[self.useless] = 0
        number, value, usd = cover(
            self.survival.field, self.survival.room, self.domain, self.survival.route, self.may, draft.quarters,
            draft.problem.unserved_usd, self.value, self.load, self.touched, self.seen, self.least, self.networked,
        )  # fmt: skip
        self.usd_per_value = usd / value if value > 0 else np.inf
        self.blocks = np.sort(self.touched[:number])
        return number > 0

    def covered(self, blocks: Int, count: Int) -> Float:
        """The value that so many more replicas of each block would take."""
        room = self.draft.problem.capacity_factor * np.asarray(count)[..., None]
        load = self.load[blocks]
        part = np.where(load > room, room / np.where(load > 0, load, 1.0), 1.0)
        return np.asarray((part * self.value[blocks]).sum(axis=-1), np.float64)

    def useful(self, blocks: Int) -> Int:
        """Replicas that would take all that is asked of each block."""
        load = self.load[blocks].max(axis=1)
        need = np.ceil(load / self.draft.problem.capacity_factor - NOTHING).astype(np.int64)
        return np.asarray(np.minimum(np.maximum(need, 1), self.may[blocks]), np.int64)

    def add_free(self) -> list[int]:
        """Add replicas on GPUs that idle, of the block that takes most by quarter for every model in every slice."""
        draft, blocks = self.draft, self.blocks
        blocks = blocks[np.minimum(draft.block_room(blocks), self.may[blocks]) > 0]
        added = []
        for block in self._best_of_each(blocks).tolist():
            one = np.array([block])
            room = min(int(draft.block_room(one)[0]), int(draft.may_add()[block]))
            whole = int(self.load[block].max() / draft.problem.capacity_factor)
            if room > 0:
                draft.add(block, min(room, max(whole, 1)))
                self.survival.replicas_changed(block)
                added.append(block)
        return added

    def _best_of_each(self, blocks: Int) -> Int:
        """The block that takes most by quarter of each model in each slice, those that take most first."""
        draft = self.draft
        worth = self.covered(blocks, np.ones(len(blocks), np.int64)) / draft.quarters[blocks]
        order = np.lexsort((blocks, -worth))
        model = draft.problem.shape_model[draft.problem.block_shape[blocks[order]]]
        _, first = np.unique(model * (draft.slices + 1) + draft.stands[blocks[order]] + 1, return_index=True)
        return np.asarray(blocks[order[np.sort(first)]], np.int64)

    def buy(self) -> bool:
        """Buy servers that take most for their price, a few for a model; False when none is worth it or to be had."""
        draft = self.draft
        spare = draft.spare()
        found: list[tuple[float, int, int]] = []
        for unit in self._units():
            blocks = self._best_of_each(self.blocks[draft.block_unit[self.blocks] == unit])
            model = int(draft.problem.shape_model[draft.problem.block_shape[blocks[0]]])
            for o in draft.site_offers(unit).tolist():
                if draft.can_buy(o) < 1:
                    continue
                gained = self._filled(blocks, int(draft.offer_quarters[o]), int(spare[unit, 0]))
                usd = self._price(o)
                if gained > 0 and usd <= gained * self.usd_per_value * self.patience:
                    found.append((-gained / max(usd, 1e-9), o, model))
        bought: dict[int, int] = {}
        for _, offer, model in sorted(found):
            if bought.get(model, 0) < AT_ONCE and draft.can_buy(offer):
                draft.buy(offer, 1)
                bought[model] = bought.get(model, 0) + 1
        return bool(bought)

    def _price(self, offer: int) -> float:
        problem = self.draft.problem
        site = problem.offer_site[offer]
        return float(problem.offer_usd[offer] + (0.0 if self.draft.count[site] else problem.open_usd[site]))

    def _units(self) -> list[int]:
        """Units that could take most, by value over the price of the cheapest GPU there."""
        draft = self.draft
        units = draft.block_unit[self.blocks]
        worth = np.zeros(len(draft.held))
        np.add.at(worth, units, self.covered(self.blocks, self.useful(self.blocks)))
        found = np.flatnonzero(worth)
        return [int(u) for u in found[np.lexsort((found, -worth[found]))][:UNITS]]

    def _filled(self, blocks: Int, quarters: int, spare: int) -> float:
        """The value that one more server of so many quarters would take."""
        draft = self.draft
        room = np.full(draft.slices, quarters + max(spare, 0))
        total = 0.0
        for b, useful in zip(blocks.tolist(), self.useful(blocks).tolist(), strict=True):
            size = int(draft.quarters[b])
            if size > quarters:
                continue
            when = slice(None) if draft.stands[b] < 0 else slice(int(draft.stands[b]), int(draft.stands[b]) + 1)
            count = min(useful, int(room[when].min()) // size)
            if count > 0:
                room[when] -= count * size
                total += float(self.covered(np.array([b]), np.array([count]))[0])
        return total


def give_up(draft: Draft, survival: Survival, domain: int) -> str:
    """Leave unserved, of every row, what the domain at hand would lose without a survivor; a message if it may not."""
    problem = draft.problem
    fails = survival.reserve.domain_site[domain]
    for i in survival.rows_left().tolist():
        if not np.isfinite(problem.unserved_usd[i]):
            return f"(13) row {i} must be served, and nobody can stand in for it when domain {domain} fails"
        back = float(survival.route.left[i])
        pairs = np.arange(draft.pair_first[i], draft.pair_first[i + 1])
        pairs = pairs[(draft.share[pairs] > 0) & fails[problem.block_site[problem.pair_block[pairs]]]]
        for n in pairs[np.lexsort((pairs, -problem.pair_usd[pairs]))].tolist():
            part = min(back, float(draft.share[n]))
            draft.share[n] -= part
            draft.unserved[i] += part
            back -= part
            if back <= 0:
                break
    return ""
