"""Intervals from the errors on pairs that were held out: conformal prediction (Vovk et al. 2005; Lei et al. 2018).

Errors are measured in units of their expected size (normalised conformal prediction, Papadopoulos et al. 2002). Those
that count for a pair are the ones of pairs with a similar *predicted* round trip (Mondrian conformal prediction, with
a window that slides instead of fixed groups), so that coverage holds for near and far pairs alike.
"""

from dataclasses import dataclass

import numpy as np

from placement.inference.known import Float

OUTSIDE = 0.05  # the chance below the lower end, and that above the upper one
WINDOW = (60, 8)  # held-out pairs that count for one prediction: at least so many, and one of so many
KNOTS = 64
LEAST_MARGIN = 0.5  # of log rtt: what an error may be where hardly any is known


@dataclass(frozen=True)
class Spread:
    """What to add to a prediction at `at` (ascending) for its lower end, middle and upper end: 3 × knots."""

    at: Float
    add: Float

    def around(self, middle: Float, size: Float) -> Float:
        """Lower end, middle, upper end (3 × n) of predictions, linear between the knots."""
        return np.stack([middle + size * np.interp(middle, self.at, add) for add in self.add])


def spread(held_out: Float, error: Float) -> Spread:
    """The quantiles of the errors, in units of their size, along the prediction."""
    order = np.argsort(held_out, kind="stable")
    middle, error = held_out[order], error[order]
    count = len(error)
    width = min(count, max(WINDOW[0], count // WINDOW[1]))
    first = np.unique(np.linspace(0, count - width, KNOTS).astype(np.int64))
    add = np.array([quantiles(error[k : k + width]) for k in first]).T
    return Spread(np.array([np.median(middle[k : k + width]) for k in first]), add)


def quantiles(error: Float) -> Float:
    """5 %, 50 % and 95 % of one more error of the same kind. Of n errors the k-th least has a share of k / (n + 1)
    below it; where n is too small to tell, the ends move out in proportion to what is missing."""
    count, error = len(error), np.sort(error)
    middle = float(np.median(error))
    share = np.array([OUTSIDE, 1 - OUTSIDE]) * (count + 1) - 1
    low, high = np.interp(share, np.arange(count), error)
    missing = max(0.0, 1 / OUTSIDE - 1 - count) / count
    margin = missing * max(LEAST_MARGIN, high - middle, middle - low)
    return np.array([low - margin, middle, high + margin])
