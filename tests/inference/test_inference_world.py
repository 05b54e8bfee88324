"""The whole inference: on worlds whose truth is known, on a real matrix, and its promises whatever the input."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import reference_data

from placement.inference import Inference, Known, infer


def world(rows: int, columns: int, per_column: int, seed: int) -> tuple[Known, np.ndarray]:
    """Places on a sphere, 1.5 times light, a last mile each, errors of heavy tails; some rows known a column."""
    random = np.random.default_rng(seed)
    ends = [random.normal(size=(n, 3)) for n in (rows, columns)]
    left, right = (at / np.linalg.norm(at, axis=1, keepdims=True) for at in ends)
    angle = np.arccos(np.clip(left @ right.T, -1, 1))
    mile = random.lognormal(1, 0.6, rows)[:, None] + random.lognormal(1, 0.6, columns)
    truth = (angle * 63.71 * 1.5 + mile) * np.exp(0.05 * random.standard_t(4, (rows, columns)))
    known = np.zeros((rows, columns), bool)
    for column in range(columns):
        known[random.permutation(rows)[:per_column], column] = True
    row, column = np.nonzero(known)
    return Known((rows, columns), row, column, truth[known]), truth


def same(one: Inference, two: Inference) -> bool:
    pairs = ((one.lower_ms, two.lower_ms), (one.mid_ms, two.mid_ms), (one.upper_ms, two.upper_ms))
    return all(left.tobytes() == right.tobytes() for left, right in pairs)


def test_on_a_sphere_nine_of_ten_intervals_hold_and_errors_are_near_the_noise() -> None:
    known, truth = world(40, 160, 12, 0)
    found = infer(known)
    hidden = np.ones(known.shape, bool)
    hidden[known.row, known.column] = False
    held = (found.lower_ms <= truth) & (truth <= found.upper_ms)
    assert 0.86 <= held[hidden].mean() <= 0.96
    # the noise alone is 0.037 at the median; the median of all round trips would be wrong by more than 0.3
    assert np.median(np.abs(found.mid_ms - truth)[hidden] / truth[hidden]) < 0.075
    assert found.lower_ms[hidden].min() > 0


def test_figures_of_measured_pairs_are_as_good_as_those_of_others_and_no_better() -> None:
    known, truth = world(30, 90, 10, 6)
    found = infer(known)
    measured = np.zeros(known.shape, bool)
    measured[known.row, known.column] = True
    held = (found.lower_ms <= truth) & (truth <= found.upper_ms)
    error = np.abs(found.mid_ms - truth) / truth
    assert abs(held[measured].mean() - held[~measured].mean()) < 0.05
    assert 0.85 < np.median(error[measured]) / np.median(error[~measured]) < 1.4  # figures that saw theirs: below 0.6


def test_a_measurement_hardly_moves_the_figures_of_its_own_pair() -> None:
    known, _ = world(20, 60, 8, 7)
    row, column = known.row[100], known.column[100]
    wrong = known.rtt_ms.copy()
    wrong[100] *= 10
    before, after = infer(known), infer(Known(known.shape, known.row, known.column, wrong))
    moved = np.abs(np.log(after.mid_ms / before.mid_ms))
    assert moved[row, column] < 0.4  # of the 2.3 that the measurement moved; 0.9 if its figures saw it
    assert moved.max() > moved[row, column]  # it speaks for other pairs


def test_the_same_bytes_whatever_the_order_of_pairs_and_whoever_else_computes() -> None:
    known, _ = world(20, 60, 8, 1)
    mixed = np.random.default_rng(2).permutation(len(known.row))
    other = Known(known.shape, known.row[mixed], known.column[mixed], known.rtt_ms[mixed])
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(infer, (known, other))
    assert same(first, second)
    assert not same(first, infer(known, seed=1))


def test_the_number_of_threads_changes_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    known, _ = world(20, 60, 8, 3)
    usual = infer(known)
    monkeypatch.setattr("placement.inference.inferring.THREADS", 1)
    assert same(usual, infer(known))
    monkeypatch.setattr("placement.inference.inferring.THREADS", 5)
    assert same(usual, infer(known))


def test_a_row_that_nobody_measured_gets_wide_intervals() -> None:
    known, truth = world(30, 80, 10, 4)
    there = known.row != 7
    found = infer(Known(known.shape, known.row[there], known.column[there], known.rtt_ms[there]))
    width = np.log(found.upper_ms / found.lower_ms)
    assert width[7].min() > 2 * np.median(np.delete(width, 7, axis=0))
    assert ((found.lower_ms[7] <= truth[7]) & (truth[7] <= found.upper_ms[7])).mean() > 0.8


def test_a_prior_speaks_where_nobody_measured() -> None:
    known, truth = world(30, 80, 10, 5)
    there = known.row != 7
    prior = truth * 1.5
    found = infer(Known(known.shape, known.row[there], known.column[there], known.rtt_ms[there], prior_ms=prior))
    np.testing.assert_allclose(found.mid_ms[7], truth[7], rtol=0.05)  # the prior's factor is learned from known pairs


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(2, 9), st.booleans(), st.sampled_from([0.0, 1e-3, 2.0]))
def test_an_interval_is_in_order_finite_and_never_below_light(
    seed: int, rows: int, columns: int, square: bool, spread: float
) -> None:
    random = np.random.default_rng(seed)
    shape = (rows, rows) if square else (rows, columns)
    allowed = ~np.eye(rows, dtype=bool) if square else np.ones(shape, bool)
    row, column = np.nonzero(allowed & (random.random(shape) < random.random()))
    floor = random.uniform(0, 50, shape)
    found = infer(Known(shape, row, column, 20 * np.exp(spread * random.normal(size=len(row))), square, floor))
    there = ~np.isnan(found.mid_ms)
    if len(row):
        assert (there == allowed).all()
    lower, mid, upper = found.lower_ms[there], found.mid_ms[there], found.upper_ms[there]
    assert (np.isfinite(upper) & (floor[there] <= lower) & (lower <= mid) & (mid <= upper) & (lower > 0)).all()


def test_of_planetlab_a_part_beats_the_shortest_way_over_known_pairs_and_coverage_holds() -> None:
    truth = np.load(reference_data() / "rtt" / "planetlab490_2snapshots.npz")["rtt_ms"][0, :200, :200].astype(float)
    a, b = np.triu_indices(200, 1)
    known = np.zeros(len(a), bool)
    known[np.random.default_rng(0).permutation(len(a))[: 200 * 16 // 2]] = True
    found = infer(Known((200, 200), a[known], b[known], truth[a[known], b[known]], square=True))
    hidden = a[~known], b[~known]
    way = np.full((200, 200), np.inf)
    way[a[known], b[known]] = way[b[known], a[known]] = truth[a[known], b[known]]
    for k in range(200):
        way = np.minimum(way, way[:, k : k + 1] + way[k : k + 1])

    def wrong(ms: np.ndarray) -> float:
        return float(np.median(np.abs(ms[hidden] - truth[hidden]) / truth[hidden]))

    assert wrong(found.mid_ms) < 0.6 * wrong(way)
    assert wrong(found.mid_ms) < 0.12
    held = (found.lower_ms <= truth) & (truth <= found.upper_ms)
    assert 0.87 <= held[hidden].mean() <= 0.96
