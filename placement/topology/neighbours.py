"""What pairs of the same region and of the same site measured, as an interval for the pairs that nobody measured.

An inference says nothing of a kind of pair that was never measured, though it gives figures for all. So it is heard
of a pair only where both its ends have LEAST_PARTNERS measured partners, and each end some that is at least as far as
this pair is expected to be (by country figures, else by distance). Who measures the nearest sites only learns nothing
of the others, and no check against what was measured would show it. docs/topology.md has the figures behind both rules.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.inference import Inference, Known, infer
from placement.topology.aggregate import LEAST_SAMPLES, upper_ms
from placement.topology.direct import Direct
from placement.topology.pairs import Float

Mask = NDArray[np.bool_]

NORMAL_95 = 1.645  # 95 % of a normal distribution lies below its mean plus so many standard deviations
LEAST_PARTNERS = 4
MOST_PARTNERS = 32
"""Of an end with more, so many are drawn by lot: more take longer and tell little. Either end may draw a pair."""


@dataclass(frozen=True)
class HeldOut:
    """What the inference says of measured pairs from the others alone, against what was measured.

    `pairs` were within its say; shares of them `covered` by the 90 % interval, `below` and `above` it; the median of
    |middle − measured| / measured and of (upper − lower) / middle.
    """

    pairs: int
    covered: float
    below: float
    above: float
    median_error: float
    median_width: float


@dataclass(frozen=True)
class Neighbours:
    """R × P; NaN where neighbours say nothing, and of measured pairs. `observed_at_s`: when the end that was last
    measured longer ago was measured. `held_out` is None where nothing could be held out."""

    rtt_lower_ms: Float
    rtt_mid_ms: Float
    rtt_upper_ms: Float
    observed_at_s: Float
    held_out: HeldOut | None


def neighbours(measured: Direct, prior_ms: Float, floor_ms: Float, seed: int) -> Neighbours | None:
    """What the measured pairs say of the others; None, and no work, where there is no pair to say anything of.

    A pair's figure is what a plan takes it for: its p95, or the upper end that follows from its own average.

    `prior_ms` is what the round trip of each pair is expected to be without them, `floor_ms` the least light allows;
    both R × P. `seed` draws starts and folds. The same figures give the same bytes.
    """
    seen_ms = np.where(np.isnan(measured.rtt_p95_ms), own_average_upper_ms(measured), measured.rtt_p95_ms)
    is_measured = ~np.isnan(seen_ms)
    within = within_say(is_measured, prior_ms)
    if not (within & ~is_measured).any():
        return None
    row, column = np.nonzero(_drawn(is_measured, seed))
    known = Known(
        shape=(is_measured.shape[0], is_measured.shape[1]),
        row=row,
        column=column,
        rtt_ms=seen_ms[row, column],
        floor_ms=floor_ms,
        prior_ms=prior_ms,
    )
    found = infer(known, seed)
    heard = within & ~is_measured
    newest = np.where(is_measured, measured.observed_at_s, -np.inf)
    last_s = np.minimum(newest.max(axis=1)[:, None], newest.max(axis=0)[None])
    return Neighbours(
        rtt_lower_ms=np.where(heard, found.lower_ms, np.nan),
        rtt_mid_ms=np.where(heard, found.mid_ms, np.nan),
        rtt_upper_ms=np.where(heard, found.upper_ms, np.nan),
        observed_at_s=np.where(heard & np.isfinite(last_s), last_s, np.nan),
        held_out=_held_out(found, seen_ms, is_measured & within),
    )


def within_say(is_measured: Mask, prior_ms: Float) -> Mask:
    """R × P: of which pairs the *other* measured ones may speak (a measured pair is no partner to itself)."""
    said = prior_ms <= _most_of_others(is_measured, prior_ms)
    for axis in (0, 1):
        said &= is_measured.sum(axis=axis, keepdims=True) - is_measured >= LEAST_PARTNERS
    return np.asarray(said)


def _most_of_others(is_measured: Mask, value: Float) -> Float:
    """The lesser of two: the greatest value among the measured pairs of the same row, and of the same column, both
    without the pair itself; -inf where there is none."""
    measured = np.where(is_measured & ~np.isnan(value), value, -np.inf)
    least = np.full(measured.shape, np.inf)
    for axis in (0, 1):
        if measured.shape[axis] < 2:
            return np.full(measured.shape, -np.inf)
        second, first = np.split(np.partition(measured, -2, axis=axis).take([-2, -1], axis=axis), 2, axis=axis)
        np.minimum(least, np.where(is_measured & (measured == first), second, first), out=least)
    return least


def own_average_upper_ms(measured: Direct) -> Float:
    """Upper end for a pair of whose own ends only averages are known.

    An average is no latency, so the pair is inferred: the calibrated rule for averages, and where ten samples give a
    standard deviation at least the average + 1.645 of it.
    """
    spread_ms = np.where(measured.samples >= LEAST_SAMPLES, measured.rtt_std_ms, np.nan)
    return np.fmax(upper_ms(measured.rtt_avg_ms), measured.rtt_avg_ms + NORMAL_95 * spread_ms)


def _drawn(is_measured: Mask, seed: int) -> Mask:
    """The measured pairs to infer from: of each end all of them, or MOST_PARTNERS by lot."""
    lot = np.where(is_measured, np.random.default_rng([seed, 6]).random(is_measured.shape), np.inf)
    drawn = np.full(is_measured.shape, False)
    for axis in (0, 1):
        most = min(MOST_PARTNERS, lot.shape[axis]) - 1
        drawn |= lot <= np.partition(lot, most, axis=axis).take([most], axis=axis)
    return drawn & is_measured


def _held_out(found: Inference, rtt_ms: Float, asked: Mask) -> HeldOut | None:
    asked = asked & ~np.isnan(found.upper_ms)
    if not asked.any():
        return None
    truth, lower, mid, upper = rtt_ms[asked], found.lower_ms[asked], found.mid_ms[asked], found.upper_ms[asked]
    below, above = float((truth < lower).mean()), float((truth > upper).mean())
    return HeldOut(
        pairs=len(truth),
        covered=1 - below - above,
        below=below,
        above=above,
        median_error=float(np.median(np.abs(mid - truth) / truth)),
        median_width=float(np.median((upper - lower) / mid)),
    )
