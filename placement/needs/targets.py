"""Pairs to measure as what an agent can be told: from which place, to which address.

An address is an endpoint of the kinds `address` and `host`. A pair is measured from the region to the site's addresses,
and where the site has none from the site to the region's: a round trip is the same either way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import ValidationError

from placement.frames import texts
from placement.needs.classes import Bool, Ints
from placement.needs.pairs import Need, Needs
from placement.topology.pairs import Pairs
from probes.agent.targets import Target

KINDS = ("address", "host")
MISSED_SHOWN = 20
SELDOM = 4
"""A pair that is not decisive is measured in every so many rounds."""

Addresses = tuple[tuple[str, ...], ...]
"""The addresses of every place, sorted; () where it has none."""


@dataclass(frozen=True)
class Places:
    """Where agents stand and what they can be sent to: R regions and P sites."""

    pairs: Pairs
    region: Addresses
    site: Addresses

    @property
    def from_region(self) -> Bool:
        """Pairs that the region's agent measures, R × P."""
        has = np.array([bool(found) for found in self.site])
        return np.broadcast_to(has[None, :], self.pairs.rtt_state.shape)

    @property
    def from_site(self) -> Bool:
        """Pairs that only the site's agent can measure, R × P."""
        has = np.array([bool(found) for found in self.region])
        return np.asarray(has[:, None] & ~self.from_region, np.bool_)


@dataclass(frozen=True)
class Errand:
    """A pair to measure: the place whose agent does it, and the addresses that it measures."""

    need: Need
    source: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Errands:
    """Those that matter most first. `left` pairs more were found than the limit allows.

    `nowhere` counts, by the site's name, the pairs that nobody can measure since neither end has an address, and
    `missed` are the first of them.
    """

    found: tuple[Errand, ...]
    left: int
    nowhere: dict[str, int]
    missed: tuple[Need, ...]


class AddressError(ValueError):
    """Endpoints that are said to be addresses or hosts and are neither; `names` has all of them."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        shown = ", ".join(repr(name) for name in self.names[:8]) + (" ..." if len(self.names) > 8 else "")
        super().__init__(f"endpoints of kind address or host that are neither an address nor a host name: {shown}")


def places(table: pd.DataFrame, pairs: Pairs) -> Places:
    """The places of the endpoints table."""
    rows = table[table["kind"].isin(KINDS)] if len(table) else table
    return Places(pairs, _addresses(rows, "region", pairs.regions), _addresses(rows, "site", pairs.sites))


def _addresses(rows: pd.DataFrame, side: str, names: Sequence[str]) -> Addresses:
    found: dict[str, set[str]] = {}
    for endpoint, place in zip(texts(rows, "endpoint"), texts(rows, side), strict=True):
        found.setdefault(place, set()).add(endpoint)
    return tuple(tuple(sorted(found.get(name, ()))) for name in names)


def errands(wanted: Needs, known: Places, *, source: str | None, limit: int | None, now_s: float) -> Errands:
    """The needs that somebody can measure, in their order, of one source or of all, at most `limit`."""
    pairs = known.pairs
    region, site = wanted.places(wanted.order)
    forth, back = known.from_region[region, site], known.from_site[region, site]
    nobody = ~forth & ~back
    if source is not None:
        at_region, at_site = _is(pairs.regions, source)[region], _is(pairs.sites, source)[site]
        forth, back, nobody = forth & at_region, back & at_site, nobody & (at_region | at_site)
    some = np.flatnonzero(forth | back)
    taken = some if limit is None else some[:limit]
    told = wanted.rows(wanted.order[taken], now_s)
    found = [
        Errand(row, row.region, known.site[p]) if goes_forth else Errand(row, row.site, known.region[r])
        for row, r, p, goes_forth in zip(told, region[taken], site[taken], forth[taken], strict=True)
    ]
    shown = MISSED_SHOWN if limit is None else min(limit, MISSED_SHOWN)
    missed = wanted.rows(wanted.order[np.flatnonzero(nobody)[:shown]], now_s)
    return Errands(tuple(found), len(some) - len(taken), _counted(pairs.sites, site[nobody]), tuple(missed))


def _is(names: Sequence[str], name: str) -> Bool:
    return np.array([one == name for one in names], np.bool_)


def _counted(names: Sequence[str], which: Ints) -> dict[str, int]:
    count = np.bincount(which, minlength=len(names))
    return {name: int(n) for name, n in sorted(zip(names, count.tolist(), strict=True)) if n}


def targets(found: Iterable[Errand], methods: Sequence[str], bandwidth: str | None) -> list[Target]:
    """The agent's list: every address once, in the place of the first of its pairs.

    `bandwidth` is the method that is added where a pair's bandwidth is wanted. Raises AddressError.
    """
    listed: dict[str, Target] = {}
    bad = set()
    for errand in found:
        asked = (*methods, bandwidth) if bandwidth is not None and "mbps" in errand.need.wants else tuple(methods)
        for address in errand.addresses:
            before = listed.get(address)
            wants = asked if before is None else tuple(dict.fromkeys((*before.methods, *asked)))
            often = errand.need.decisive or (before is not None and before.every == 1)
            try:
                listed[address] = Target(name=address, host=address, methods=wants, every=1 if often else SELDOM)
            except ValidationError:
                bad.add(address)
    if bad:
        raise AddressError(sorted(bad))
    return list(listed.values())
