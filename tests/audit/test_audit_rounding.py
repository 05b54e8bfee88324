"""Floats of cuts, failure rows and groups are rounded so that they never prove more: held against fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from audit_twins import certificate, near, twins

from placement.audit.case import open_case
from placement.audit.certificate import read_certificate
from placement.audit.cuts import CutBook, open_book
from placement.audit.descriptors import Cuts
from placement.audit.grid import Grid
from placement.audit.groups import Paths, SiteGroup
from placement.audit.penalties import Penalties
from placement.audit.quotes import Quotes
from placement.audit.rows import Rows

ROWS, CUTS, HERE = 9, 4, [0, 2, 3]
BLOCK = ("p", "d", "", None)
EXACT = np.vectorize(Fraction, otypes=[object])
SEEDS = range(40)


def random_cuts(rng: np.random.Generator, leaves: int) -> Cuts:
    """Every row is in several cuts; one block counts three of the four."""
    row_cut, row = np.nonzero(rng.random((CUTS, ROWS)) < 0.7)
    unit, weight = rng.uniform(0.3, 2, CUTS), rng.uniform(0.1, 3, len(row))
    usd = rng.uniform(0, 900, (leaves, CUTS))
    return Cuts(unit, row_cut, row, weight, np.array(HERE), np.zeros(3, np.int64), usd)


def book_of(cuts: Cuts) -> CutBook:
    return open_book(cuts, np.arange(ROWS), [BLOCK])


def slopes(cuts: Cuts, fraction: np.ndarray) -> dict[tuple[int, int], Fraction]:
    """w/(R·f) by cut and row."""
    entries = zip(cuts.row_cut.tolist(), cuts.row.tolist(), cuts.weight.tolist(), strict=True)
    return {(c, i): Fraction(w) / Fraction(cuts.unit[c]) / Fraction(fraction[c]) for c, i, w in entries}


def entries(book: CutBook) -> dict[tuple[int, int], int]:
    """Where the book keeps what it says of a cut and a row."""
    return {(int(book.cut[n]), i): n for i in range(ROWS) for n in range(book.first[i], book.first[i + 1])}


def near_below(found: float, exact: Fraction, size: Fraction) -> bool:
    return exact - size / 10**12 <= Fraction(found) <= exact


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_cut_needs_is_rounded_down_and_what_it_takes_up(seed):
    cuts = random_cuts(np.random.default_rng(seed), 2)
    book = book_of(cuts)
    for c in range(CUTS):
        need = sum(map(Fraction, cuts.weight[cuts.row_cut == c])) / Fraction(cuts.unit[c])
        assert book.whole[c] == math.ceil(need)
        assert near_below(book.whole[c] - 1 + Fraction(book.fraction[c]), need, need)
    exact, at = slopes(cuts, book.fraction), entries(book)
    assert exact.keys() == at.keys()
    assert all(near_below(-book.slope[at[key]], -slope, slope) for key, slope in exact.items())


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_bound_gains_by_cuts_is_rounded_down(seed):
    book = book_of(random_cuts(np.random.default_rng(seed), 2))
    slope = [sum(map(Fraction, book.slope[book.cut == c])) for c in range(CUTS)]
    for usd, found in zip(book.usd, book.gain_usd(), strict=True):
        terms = [(Fraction(usd[c]) * Fraction(book.whole[c]), Fraction(usd[c]) * slope[c]) for c in range(CUTS)]
        assert near_below(found, sum(a - b for a, b in terms), sum(a + b for a, b in terms))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("leaves", [1, 3])
def test_what_a_block_earns_by_cuts_is_rounded_up_and_what_its_pairs_lose_down(seed, leaves):
    """Pairs of two slices: a replica carries the best of each."""
    rng = np.random.default_rng(seed)
    cuts = random_cuts(rng, leaves)
    book = book_of(cuts)
    rows = rng.permutation(ROWS)[:6]
    load, group = rng.uniform(0.05, 1.5, len(rows)), rng.integers(0, 2, len(rows))
    found, at = book.of(np.array(HERE), rows, load, group), entries(book)
    counted = [counts(book, cuts, c, rows, load, group) for c in HERE]
    for a in range(leaves):
        usd = [Fraction(book.usd[a, c]) for c in HERE]
        earned = sum(g * n for g, n in zip(usd, counted, strict=True))
        assert near_below(-found.replica_usd()[a], -earned, earned)
        for n, i in enumerate(rows.tolist()):
            slope = [Fraction(book.slope[at[c, i]]) if (c, i) in at else Fraction(0) for c in HERE]
            taken = sum(g * s for g, s in zip(usd, slope, strict=True))
            assert near_below(found.taken_usd(len(rows))[a, n], taken, taken)


def counts(book: CutBook, cuts: Cuts, c: int, rows: np.ndarray, load: np.ndarray, group: np.ndarray) -> Fraction:
    """F(α) = ⌊α⌋ + min(1, frac(α)/f) with α = Σ_t max w/(R·a)."""
    weight = dict(zip(cuts.row[cuts.row_cut == c].tolist(), cuts.weight[cuts.row_cut == c].tolist(), strict=True))
    best = [Fraction(0), Fraction(0)]
    for i, a, t in zip(rows.tolist(), load.tolist(), group.tolist(), strict=True):
        best[t] = max(best[t], Fraction(weight.get(i, 0.0)) / Fraction(cuts.unit[c]) / Fraction(a))
    units = sum(best)
    return math.floor(units) + min(Fraction(1), (units - math.floor(units)) / Fraction(book.fraction[c]))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_row_and_its_failures_pay_together_is_rounded_down(seed):
    """Rows with no failure row, with one, with both; some are paid more than their penalty."""
    rng = np.random.default_rng(seed)
    told = twins(rng.uniform(0.5, 9, 6).tolist(), domains=["x,p", "y,q"])
    failures = {
        "backup_domain": np.array(["x", "y", "x", "y", "x"]),
        "backup_row": np.array([0, 1, 2, 2, 3]),
        "backup_usd": rng.uniform(-900, 9000, 5),
    }
    arrays = certificate(rng.uniform(-900, 9000, 6).tolist(), **failures)
    rows = Rows(Penalties(Grid(open_case(told, near()))), read_certificate(arrays)[""])
    paid = [Fraction(usd) for usd in rows.usd[:6]]
    size = [abs(usd) for usd in paid]
    for row, usd in zip(rows.demand[6:], rows.usd[6:-1], strict=True):
        paid[row] += Fraction(usd)
        size[row] += abs(Fraction(usd))
    penalty = [Fraction(usd) for usd in rows.penalties.least_usd]
    assert len(rows.gain_usd) == 6
    for n, found in enumerate(rows.gain_usd):
        assert near_below(found, min(paid[n], penalty[n]), size[n] + penalty[n])


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_group_earns_is_rounded_up(seed):
    """Of many rows, whose floats do not add up to what the fractions do."""
    rng = np.random.default_rng(seed)
    leaves, listed = 3, np.arange(1, 400)
    book = book_of(random_cuts(rng, leaves))
    root = Quotes(rng.uniform(-500, 5000, 401), ())
    own = root.usd[listed] * rng.uniform(0.3, 1.2, (leaves, len(listed)))
    values = [rng.uniform(-100, 4000, leaves) for _ in range(2)]
    paths = Paths((), np.zeros((leaves, 0), np.int64), np.zeros((leaves, 0), np.int64))
    found = SiteGroup(("p", "q"), listed, own, book, paths).usd_most(root, values)
    usd = EXACT(root.usd[listed])
    earned = (usd - np.minimum(EXACT(own), usd)).sum(axis=1) + sum(EXACT(v) for v in values) - EXACT(book.gain_usd())
    assert near_below(-found, -max(earned), Fraction(10**7))
