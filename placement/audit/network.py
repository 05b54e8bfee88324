"""Rule 2, for the auditor: what is known of a pair, the latency that a route plans with, how likely it is kept."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np

from placement.audit.arrays import Float
from placement.audit.exact import known
from placement.audit.facts import Facts, Key, Service
from placement.audit.intervals import TIE, Interval, interval_of, percentile_ms
from placement.topology.pairs import Pairs, State


@dataclass(frozen=True)
class Link:
    """What is known between a region and a site; None is unknown."""

    rtt_ms: Fraction | None  # planned: a measured pair's p95, an inferred one's upper end or percentile
    mbps: Fraction | None
    loss: Fraction | None
    jitter_ms: Fraction | None


NEAR = 1e-9
"""Far more than a sum or product of a few floats loses, relative to it."""
UNKNOWN = Link(None, None, None, None)


@dataclass(frozen=True)
class Network:
    """Looks pairs up by name. A region or site that the pairs do not hold is unknown, and so never admissible."""

    pairs: Pairs
    facts: Facts
    _region: dict[str, int] = field(default_factory=dict)
    _site: dict[str, int] = field(default_factory=dict)
    _links: dict[tuple[str, str], Link] = field(default_factory=dict)
    _intervals: dict[tuple[str, str], Interval | None] = field(default_factory=dict)
    _found: dict[tuple[str, str, str], tuple[Fraction | None, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._region.update({name: r for r, name in enumerate(self.pairs.regions)})
        self._site.update({name: p for p, name in enumerate(self.pairs.sites)})

    def link(self, region: str, site: str) -> Link:
        """The pair's figures."""
        if (region, site) not in self._links:
            self._links[(region, site)] = self._read(region, site)
        return self._links[(region, site)]

    def _read(self, region: str, site: str) -> Link:
        if region not in self._region or site not in self._site:
            return UNKNOWN
        at = (self._region[region], self._site[site])
        pairs = self.pairs
        mbps = None if pairs.mbps_state[at] == State.UNKNOWN else _finite(float(pairs.mbps[at]))
        none = mbps is None or mbps <= 0  # a wire that carries nothing is no wire
        return Link(
            rtt_ms=_finite(float(self._planned_ms[at])),
            mbps=None if none else mbps,
            loss=_finite(float(pairs.loss[at])),
            jitter_ms=_finite(float(pairs.jitter_ms[at])),
        )

    def interval(self, region: str, site: str) -> Interval | None:
        """The interval of an inferred pair."""
        if (region, site) not in self._intervals:
            known = region in self._region and site in self._site
            at = (self._region[region], self._site[site]) if known else None
            self._intervals[(region, site)] = None if at is None else interval_of(self.pairs, at)
        return self._intervals[(region, site)]

    @cached_property
    def _planned_ms(self) -> Float:
        """What is planned with, regions × sites of the pairs; NaN where unknown."""
        pairs, share = self.pairs, self.facts.percentile
        inferred = pairs.rtt_upper_ms if share is None else percentile_ms(pairs, share)
        planned = np.where(pairs.rtt_state == State.INFERRED, inferred, np.nan)
        return np.where(pairs.rtt_state == State.MEASURED, pairs.rtt_p95_ms, planned)

    def nearest(self, region: str, within_ms: float) -> Iterator[str]:
        """Sites with a planned round trip of no more than about `within_ms`, the nearest first."""
        if region not in self._region:
            return
        planned = self._planned_ms[self._region[region]]
        near = np.flatnonzero(planned <= within_ms * (1 + NEAR))
        for p in near[np.argsort(planned[near], kind="stable")].tolist():
            yield self.pairs.sites[p]

    def network_ms(self, region: str, service: Service, site: str) -> Fraction | None:
        """Round trips and the request's way up, ms; None where a figure that counts is unknown or too high."""
        return self.why_not(region, service, site)[0]

    def of_class(self, key: Key, site: str) -> tuple[Fraction | None, str]:
        """As `why_not` for a class of the scenario, remembered."""
        kind = (key[0], key[2], site)
        if kind not in self._found:
            self._found[kind] = self.why_not(key[0], self.facts.services[key[2]], site)
        return self._found[kind]

    def why_not(self, region: str, service: Service, site: str) -> tuple[Fraction | None, str]:
        """As `network_ms`, with the reason in words where it is None."""
        link = self.link(region, site)
        if link.rtt_ms is None:
            return None, "no latency is known"
        if link.mbps is None and service.kbyte_in > self.facts.bandwidth_free_kbyte:
            return None, "no bandwidth is known for a request of this size"
        for what, limit, figure in (
            ("loss", service.max_loss, link.loss),
            ("jitter", service.max_jitter_ms, link.jitter_ms),
        ):
            if limit is not None and figure is None:
                return None, f"{what} is limited and not known"
            if limit is not None and figure is not None and figure > limit:
                return None, f"{what} {float(figure):.6g} is above {float(limit):.6g}"
        return service.round_trips * link.rtt_ms + _transfer_ms(service, link), ""

    def met(self, region: str, service: Service, site: str, ttft_ms: Fraction) -> Fraction:
        """How likely a request stays within its latency budget there, on a shape with this time to first token.

        0 where no latency is known.
        """
        link = self.link(region, site)
        budget = service.latency_budget_ms * (1 + TIE)
        limit = (budget - _transfer_ms(service, link) - ttft_ms) / service.round_trips
        interval = self.interval(region, site)
        if interval is not None:
            return interval.chance(limit)
        return Fraction(link.rtt_ms is not None and link.rtt_ms <= limit)

    @cached_property
    def arrays(self) -> tuple[Float, ...]:
        """Planned RTT, Mbit/s, loss and jitter as float arrays, regions × sites of the pairs; NaN where unknown."""
        pairs = self.pairs
        mbps = np.where((pairs.mbps_state == State.UNKNOWN) | ~(pairs.mbps > 0), np.nan, pairs.mbps)
        return tuple(np.where(np.isfinite(a), a, np.nan) for a in (self._planned_ms, mbps, pairs.loss, pairs.jitter_ms))


def _transfer_ms(service: Service, link: Link) -> Fraction:
    """The request's way up; nothing over a wire of unknown bandwidth, as rule 2 has it for small requests."""
    return 8 * service.kbyte_in / link.mbps if link.mbps is not None else Fraction(0)


def _finite(value: float) -> Fraction | None:
    """The figure, with None for NaN and for an infinity, which no measurement yields."""
    return known(value) if not np.isinf(value) else None
