"""The bound that a certificate proves for a reference instance, against every pair: `docs/certificate.md` (R, C, G).

Sites are taken in chunks, so that memory stays near that of the pairs themselves. Every step rounds against the bound.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bench.arrays.cuts import Cut, derive
from bench.arrays.group import group_usd
from bench.arrays.instance import EdgeArrays, Float, Int
from bench.arrays.planned import CertificateArrays, CertificateFormError
from bench.arrays.site import EPS, Block, Site, earned_usd, server_choices

PAIRS_A_CHUNK = 4_000_000


def bound_usd(arrays: EdgeArrays, certificate: CertificateArrays) -> float:
    """The bound, USD a day, rounded down.

    Raises CertificateFormError where the certificate proves nothing.
    """
    pricing = Pricing.of(arrays, certificate)
    grouped = pricing.grouped_sites
    kept: dict[int, Site] = {}
    losses = []
    for site in pricing.sites():
        if grouped[site.number]:
            kept[site.number] = site
        else:
            losses.append(earned_usd(site, pricing.row_usd))
    groups = [
        group_usd(arrays, group, kept, pricing.row_usd, pricing.pair_first, pricing.pair_block)
        for group in certificate.groups
    ]
    total = pricing.constant()
    total -= sum((Fraction(usd) for usd in (*losses, *groups)), Fraction(0))
    return rounded_down(total)


@dataclass(frozen=True)
class Pricing:
    """A certificate's prices against an instance."""

    arrays: EdgeArrays
    certificate: CertificateArrays
    cuts: list[Cut]
    pair_first: Int
    pair_block: Int
    row_usd: Float  # I: what serving a class earns, its penalty at most

    @classmethod
    def of(cls, arrays: EdgeArrays, certificate: CertificateArrays) -> "Pricing":
        sizes = (
            ("demand_usd", certificate.demand_usd, (arrays.classes,)),
            ("uplink_usd", certificate.uplink_usd, (arrays.sites,)),
            ("limit_usd", certificate.limit_usd, (3,)),
        )
        for name, value, shape in sizes:
            if value.shape != shape:
                raise CertificateFormError(f"{name} has the shape {value.shape}, not {shape}")
        if certificate.budget:
            raise CertificateFormError("a price of a budget, and the instance has none")
        first, block = arrays.pair_first, arrays.pair_block
        cuts = derive(arrays, certificate.cuts, first, block)
        row_usd = np.minimum(certificate.demand_usd, arrays.unserved_cost)
        return cls(arrays, certificate, cuts, first, block, row_usd)

    @property
    def grouped_sites(self) -> Int:
        """Whether a group holds the site, P; raises CertificateFormError where two do."""
        times = np.zeros(self.arrays.sites, np.int64)
        for group in self.certificate.groups:
            if len(group.site) and (group.site.min() < 0 or group.site.max() >= self.arrays.sites):
                raise CertificateFormError("a group holds a site that does not exist")
            np.add.at(times, group.site, 1)
        if times.max(initial=0) > 1:
            raise CertificateFormError("groups share a site")
        return times

    def constant(self) -> Fraction:
        """All of the bound but what the sites earn, exactly."""
        served = np.diff(self.pair_first) > 0
        usd = np.where(served, self.row_usd, self.arrays.unserved_cost)
        total = Fraction(math.fsum(usd.tolist())) - Fraction(4 * EPS) * Fraction(float(np.abs(usd).sum()))
        for price, stock in zip(self.certificate.limit_usd.tolist(), self.arrays.inventory.tolist(), strict=True):
            total -= Fraction(price) * Fraction(stock)
        for cut, price in zip(self.cuts, self.certificate.cut_usd.tolist(), strict=True):
            total += Fraction(price) * cut.gain
        return total

    def sites(self) -> Iterator[Site]:
        """Every site with all its pairs, at these prices."""
        arrays = self.arrays
        less, replica_less = self._of_cuts()
        count = np.bincount(arrays.pair_site, minlength=arrays.sites)
        chunk = np.cumsum(count) // PAIRS_A_CHUNK
        for number in range(int(chunk.max(initial=0)) + 1):
            inside = np.flatnonzero(chunk == number)
            if not len(inside):
                continue
            first, last = int(inside[0]), int(inside[-1])
            at = np.flatnonzero((arrays.pair_site >= first) & (arrays.pair_site <= last))
            yield from self._chunk(first, last, at, less, replica_less)

    def _chunk(self, first: int, last: int, at: Int, less: Float | None, replica_less: Float) -> Iterator[Site]:
        """Sites first…last; `at` are their pairs."""
        arrays = self.arrays
        at = at[np.argsort(self.pair_block[at], kind="stable")]
        row = arrays.pair_class[at]
        load = arrays.demand[row]
        mbps = 1000.0 * load * arrays.uplink_per_replica[arrays.class_model[row]]
        cost = arrays.pair_cost[at] + mbps * self.certificate.uplink_usd[arrays.pair_site[at]]
        if less is not None:
            cost += less[at]
        low, high = np.searchsorted(arrays.replica_site, [first, last + 1])
        ends = np.searchsorted(self.pair_block[at], np.arange(low, high + 1))
        quarters = np.rint(4 * arrays.gpus_per_replica).astype(np.int64)
        of_site: dict[int, list[Block]] = {site: [] for site in range(first, last + 1)}
        for k, block in enumerate(range(low, high)):
            site, model = int(arrays.replica_site[block]), int(arrays.replica_model[block])
            part = slice(ends[k], ends[k + 1])
            most = int(4 * arrays.gpu_slots[site] // quarters[model])
            each = float(arrays.replica_cost[model]) - float(replica_less[block])
            of_site[site].append(Block(block, int(quarters[model]), most, row[part], load[part], cost[part], each))
        for number, blocks in of_site.items():
            yield self._site(number, tuple(blocks))

    def _site(self, number: int, blocks: tuple[Block, ...]) -> Site:
        arrays = self.arrays
        servers = server_choices(arrays, number)
        usd = servers @ (arrays.server_cost[number] + self.certificate.limit_usd)
        credit = float(self.certificate.uplink_usd[number]) * 1000.0 * float(arrays.uplink[number])
        usd = usd + float(arrays.open_cost[number]) - credit
        usd[~servers.any(axis=1)] = 0.0
        return Site(number, 4 * int(arrays.gpu_slots[number]), blocks, servers, usd)

    def _of_cuts(self) -> tuple[Float | None, Float]:
        """What pairs earn less by the cuts, N (None without cuts), and what replicas cost less, B."""
        replica_less = np.zeros(self.arrays.blocks)
        priced = [(cut, usd) for cut, usd in zip(self.cuts, self.certificate.cut_usd.tolist(), strict=True) if usd]
        if not priced:
            return None, replica_less
        less = np.zeros(self.arrays.pairs)
        for cut, usd in priced:
            # Sums of several cuts lose a few last places; what a pair pays is taken a little lower for it.
            less[cut.pair] += usd * cut.pair_less[cut.pair_of_row] * (1 - 1e-13)
            replica_less[cut.block] += usd * cut.replica_less * (1 + 1e-13)
        return less, replica_less


def rounded_down(value: Fraction) -> float:
    """The largest float ≤ value."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)
