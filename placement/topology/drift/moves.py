"""What moved between two states of the same network, pair by pair: arrays in, arrays out.

A pair's planned round trip goes from a to b ms. Two things must be told apart: that the network moved, and that only
what is known of it did. So each figure has an interval:

    inferred    [lower, upper], as it stands
    measured    p95 ± 3 · 1.89 · (p95 - p50) / √samples

The standard error of a 95 % quantile is √(0.95 · 0.05 / n) / f. With an exponential tail through p50 and p95 the
density there is f = 0.05 · ln 10 / (p95 - p50), which gives 1.89 · (p95 - p50) / √n. Where the spread is not known the
interval is the figure alone.

    slower, faster   the intervals do not touch, and |b - a| > 0.2 · min(a, b) + 5 ms
    raised, lowered  the intervals touch, and |b - a| is as large: the plan reckons with another figure, but that the
                     network moved is not shown
    appeared, lost   it was unknown, it is unknown now

0.2 and 5 ms are the spread and the jitter of `aggregate`: what repeats of one measurement stay within (582 of 582 cloud
pairs; 98.4 % of PlanetLab pairs months apart). Of unmoved pairs of five samples or more, whose round trips are normal,
exponential, log-normal (σ = 1) or Pareto (α = 2), less than 1 % are called slower or faster; a test draws them again.
"""

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placement.problem.uncertainty import planned_rtt_ms
from placement.topology.aggregate import JITTER_MS, SPREAD
from placement.topology.pairs import Codes, Float, Pairs, State

Ints = NDArray[np.int64]
Bool = NDArray[np.bool_]

STANDARD_ERRORS = 3.0
TAIL = float(np.sqrt(19) / np.log(10))  # 1.89
RATIO = 1.5
"""Bandwidth has moved when it is that many times as much or as little: a judgement."""
LOSS = 0.01
"""Loss has moved when it changed by more than this, and more than three standard errors of both counts together."""


class Change(IntEnum):
    """What became of one figure of a pair; the words are those for latency, of bandwidth and loss see `Drift`."""

    SAME = 0
    APPEARED = 1
    LOST = 2
    SLOWER = 3
    FASTER = 4
    RAISED = 5
    LOWERED = 6


@dataclass(frozen=True)
class Drift:
    """Two states over the R regions and P sites that both have; every array is R × P.

    `mbps` is SLOWER where there is less bandwidth now, `loss` where more is lost. `silent` says where a pair that is
    measured in both has no newer observation in `new`, while others have. `old_ms` and `new_ms` are the round trips
    that are planned with, NaN where unknown. The names are those that one of the two has.
    """

    old: Pairs
    new: Pairs
    rtt: Codes
    mbps: Codes
    loss: Codes
    silent: Bool
    old_ms: Float
    new_ms: Float
    new_regions: tuple[str, ...]
    new_sites: tuple[str, ...]
    gone_regions: tuple[str, ...]
    gone_sites: tuple[str, ...]

    @property
    def delta_ms(self) -> Float:
        """How much longer the planned round trip is, ms; NaN where one of the two is unknown."""
        return self.new_ms - self.old_ms

    @property
    def moved(self) -> Bool:
        """Pairs of which anything changed."""
        return np.asarray((self.rtt != Change.SAME) | (self.mbps != Change.SAME) | (self.loss != Change.SAME))


def drift(old: Pairs, new: Pairs, percentile: float | None = None) -> Drift:
    """What moved from `old` to `new`. The other way round every change is its opposite.

    `percentile` is what the scenario plans inferred pairs with; without one, upper ends.
    """
    regions, sites = _common(old.regions, new.regions), _common(old.sites, new.sites)
    one, other = at_places(old, regions, sites), at_places(new, regions, sites)
    old_ms, new_ms = planned_rtt_ms(one, percentile), planned_rtt_ms(other, percentile)
    measured = (one.rtt_state == State.MEASURED) & (other.rtt_state == State.MEASURED)
    goes_on = np.nanmax(other.observed_at_s, initial=-np.inf) > np.nanmax(one.observed_at_s, initial=-np.inf)
    return Drift(
        old=one,
        new=other,
        rtt=_rtt(one, other, old_ms, new_ms),
        mbps=_mbps(one, other),
        loss=_loss(one, other),
        silent=measured & goes_on & ~(other.observed_at_s > one.observed_at_s),
        old_ms=old_ms,
        new_ms=new_ms,
        new_regions=_only(new.regions, old.regions),
        new_sites=_only(new.sites, old.sites),
        gone_regions=_only(old.regions, new.regions),
        gone_sites=_only(old.sites, new.sites),
    )


def at_places(pairs: Pairs, regions: tuple[str, ...], sites: tuple[str, ...]) -> Pairs:
    """The pairs of these regions and sites, which it must have; itself where these are all."""
    if (regions, sites) == (pairs.regions, pairs.sites):
        return pairs
    row = np.searchsorted(np.array(pairs.regions, object), np.array(regions, object))
    column = np.searchsorted(np.array(pairs.sites, object), np.array(sites, object))
    arrays: dict[str, Any] = {
        field.name: getattr(pairs, field.name)[np.ix_(row, column)]
        for field in fields(pairs)
        if field.name not in ("regions", "sites")
    }
    return replace(pairs, regions=regions, sites=sites, **arrays)


def noise_ms(pairs: Pairs) -> Float:
    """How far a measured pair's p95 may lie from the true one, by its samples and their spread; 0 where unknown."""
    spread = pairs.rtt_p95_ms - pairs.rtt_p50_ms
    error = STANDARD_ERRORS * TAIL * spread / np.sqrt(np.maximum(pairs.samples, 1))
    return np.where((pairs.rtt_state == State.MEASURED) & (error > 0), error, 0.0)


def _rtt(old: Pairs, new: Pairs, a: Float, b: Float) -> Codes:
    """By both intervals and by what is planned with, a before and b now."""
    with np.errstate(invalid="ignore"):
        far = np.abs(b - a) > SPREAD * np.minimum(a, b) + JITTER_MS
        before, after = noise_ms(old), noise_ms(new)
        above = new.rtt_lower_ms - after > old.rtt_upper_ms + before
        below = new.rtt_upper_ms + after < old.rtt_lower_ms - before
    known, knows = ~np.isnan(a), ~np.isnan(b)
    return _codes(
        (~known & knows, Change.APPEARED),
        (known & ~knows, Change.LOST),
        (far & above, Change.SLOWER),
        (far & below, Change.FASTER),
        (far & (b > a), Change.RAISED),
        (far & (b < a), Change.LOWERED),
    )


def _mbps(old: Pairs, new: Pairs) -> Codes:
    a, b = (np.where(pairs.mbps_state == State.UNKNOWN, np.nan, pairs.mbps) for pairs in (old, new))
    with np.errstate(invalid="ignore"):
        less, more = a > RATIO * b, b > RATIO * a
    known, knows = ~np.isnan(a), ~np.isnan(b)
    return _codes(
        (~known & knows, Change.APPEARED),
        (known & ~knows, Change.LOST),
        (less, Change.SLOWER),
        (more, Change.FASTER),
    )


def _loss(old: Pairs, new: Pairs) -> Codes:
    """Of n answers at a loss of p about n / (1 - p) were sent, and the error of p is √(p · (1 - p) / sent)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = sum(p.loss * (1 - p.loss) ** 2 / np.maximum(p.samples, 1) for p in (old, new))
        far = np.abs(new.loss - old.loss) > np.maximum(LOSS, STANDARD_ERRORS * np.sqrt(variance))
        more, less = far & (new.loss > old.loss), far & (new.loss < old.loss)
    return _codes((more, Change.SLOWER), (less, Change.FASTER))


def _codes(*rules: tuple[Bool, Change]) -> Codes:
    """The first rule that holds of each pair; SAME where none does."""
    return np.select([holds for holds, _ in rules], [np.int8(change) for _, change in rules], np.int8(Change.SAME))


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return one if one == other else tuple(sorted({*one} & {*other}))


def _only(these: tuple[str, ...], those: tuple[str, ...]) -> tuple[str, ...]:
    return () if these == those else tuple(sorted({*these} - {*those}))
