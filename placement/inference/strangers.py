"""Pairs with an end that nobody measured, and networks too small to learn from: a guess, and how far such guesses lie.

The guess is the prior where there is one, else the median of the other end's known round trips, drawn to that of all.
"""

import numpy as np

from placement.inference.intervals import quantiles
from placement.inference.known import Float, Ints, Known
from placement.inference.pairs import Links

DRAW = 3.0  # known links of the median round trip that every end holds


def strangers(known: Known, data: Links) -> Float:
    """Lower end, middle and upper end of log rtt: 3 × rows × columns, NaN where there is neither link nor prior."""
    rows, columns = known.shape
    prior = np.full(known.shape, np.nan) if known.prior_ms is None else np.log(known.prior_ms / data.unit_ms)
    prior = np.where(np.isfinite(prior), prior, np.nan)
    found = np.full((3, rows, columns), np.nan)
    if not len(data.a):
        wide = np.log(np.array([0.25, 1.0, 4.0]))  # nothing tells how good the prior is
        return np.asarray(prior + wide[:, None, None])
    of_node, error = _levels(data)
    level = of_node[:rows, None] + of_node[None, data.nodes - columns :]
    found[:] = level + quantiles(error)[:, None, None]
    offset = data.nodes - columns
    aside = data.log_rtt - prior[data.a, data.b - offset]
    aside = aside[np.isfinite(aside)]
    if len(aside):
        found = np.where(np.isnan(prior), found, prior + quantiles(aside)[:, None, None])
    return found


def _levels(data: Links) -> tuple[Float, Float]:
    """How far each node's round trips lie above the median of all, and what that leaves of links whose other end is
    taken for a stranger: the errors of both guesses."""
    total, count = np.zeros(data.nodes), np.zeros(data.nodes)
    for end in (data.a, data.b):
        total += np.bincount(end, data.log_rtt, data.nodes)
        count += np.bincount(end, minlength=data.nodes)
    level = total / (count + DRAW)
    errors = [data.log_rtt - _without(data, end, total, count) for end in (data.a, data.b)]
    return level, np.concatenate(errors)


def _without(data: Links, end: Ints, total: Float, count: Float) -> Float:
    """The level of one end of each link, had that link not been measured."""
    return np.asarray((total[end] - data.log_rtt) / (count[end] - 1 + DRAW))
